using System.Buffers;
using System.Text.Json;

namespace EmbeddedSidecar.Actors;

/// <summary>The bodies of the calls that timers and reminders make.</summary>
internal static class ActorCallbackBody
{
    public static byte[] OfTimer(string callback, ReadOnlyMemory<byte> data, string dueTime, string period) =>
        Write(callback, data, dueTime, period);

    /// <summary>What the Scheduler fires carries no times.</summary>
    public static byte[] OfReminder(ReadOnlyMemory<byte> data) => Write(null, data, "", "");

    private static byte[] Write(string? callback, ReadOnlyMemory<byte> data, string dueTime, string period)
    {
        var buffer = new ArrayBufferWriter<byte>(128 + data.Length);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (callback is not null)
                json.WriteString("callback", callback);
            if (!data.IsEmpty)
            {
                json.WritePropertyName("data");
                json.WriteRawValue(data.Span, skipInputValidation: true);
            }
            json.WriteString("dueTime", dueTime);
            json.WriteString("period", period);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
