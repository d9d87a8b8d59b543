using System.Text.Encodings.Web;
using System.Text.Json;

namespace DaprOrders.Console.Shell;

/// <summary>JSON for people.</summary>
public static class PrettyJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Of(JsonElement json) => JsonSerializer.Serialize(json, Indented);
}
