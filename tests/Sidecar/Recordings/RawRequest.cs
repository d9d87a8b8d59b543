using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>A request written onto the wire as it stands, and what came back until the sidecar closed the connection or fell silent.</summary>
internal static class RawRequest
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BetweenParts = TimeSpan.FromSeconds(1);

    public static async Task<JsonObject> SendAsync(Uri to, IReadOnlyList<string> parts, RecordedForm form, CancellationToken cancel)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(to.Host, to.Port, cancel);
        var stream = client.GetStream();
        foreach (var (i, part) in parts.Index())
        {
            if (i > 0)
                await Task.Delay(BetweenParts, cancel);
            await stream.WriteAsync(WireText.Bytes(part), cancel);
        }

        using var answer = new MemoryStream();
        var closed = await ReadAsync(stream, answer, cancel);
        var got = Parse(answer.ToArray(), form);
        if (closed)
            got["closed"] = true;
        return got;
    }

    private static async Task<bool> ReadAsync(NetworkStream stream, MemoryStream answer, CancellationToken cancel)
    {
        using var silent = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        silent.CancelAfter(Silence);
        try
        {
            await stream.CopyToAsync(answer, silent.Token);
            return true;
        }
        catch (IOException)
        {
            return true;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    private static JsonObject Parse(byte[] answer, RecordedForm form)
    {
        var interim = new JsonArray();
        int end;
        string[] lines;
        while (true)
        {
            end = answer.AsSpan().IndexOf("\r\n\r\n"u8);
            if (end < 0)
                return [];
            lines = Encoding.Latin1.GetString(answer, 0, end).Split("\r\n");
            var status = int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture);
            if (status is < 100 or >= 200)
                break;
            interim.Add(status);
            answer = answer[(end + 4)..];
        }

        var headers = lines.Skip(1).Select(line => line.Split(": ", 2)).GroupBy(field => field[0], StringComparer.OrdinalIgnoreCase)
            .Select(group => KeyValuePair.Create(group.Key, group.Select(field => field[1])));
        var got = new JsonObject { ["status"] = int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture) };
        if (form.Headers(headers) is { Count: > 0 } shown)
            got["headers"] = shown;
        if (got["status"]!.GetValue<int>() != 204 && form.Body(answer[(end + 4)..]) is { } body)
            got["body"] = body;
        if (interim.Count > 0)
            got["interim"] = interim;
        return got;
    }
}
