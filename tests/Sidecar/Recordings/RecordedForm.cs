using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>
/// Writes down what came the way the recordings have it: bodies as JSON where they are, and what differs from run to run
/// (ids, times, ports, folders) replaced by its name in braces.
/// </summary>
public sealed partial class RecordedForm(string directory, IReadOnlyDictionary<string, int> appPorts, TimeProvider clock, Recording? recording = null)
{
    private const int LongestText = 1000;
    private const int KeptOfLongText = 60;
    private const int KeptOfDeepText = 40;

    /// <summary>So many brackets, and a body is told by its beginning.</summary>
    private const int Deep = 2000;

    /// <summary>The trace that callers of the recordings began, where it is to be told from others.</summary>
    private const string CallersTrace = "feedfeedfeedfeedfeedfeedfeedfeed";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly string HostName = Dns.GetHostName();
    private static readonly IReadOnlyList<string> HostAddresses =
    [
        .. NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(card => card.GetIPProperties().UnicastAddresses)
            .Where(address => address.Address.AddressFamily is AddressFamily.InterNetwork && !IPAddress.IsLoopback(address.Address))
            .Select(address => address.Address.ToString()),
    ];

    /// <summary>Headers of the transport, of no meaning to an application, and those that each client library chooses for itself.</summary>
    private static readonly HashSet<string> IgnoredHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Accept-Encoding", "Connection", "Content-Length", "Date", "Host", "Keep-Alive", "Server", "Transfer-Encoding", "User-Agent",
    };

    private static readonly HashSet<string> IgnoredMetadata = ["accept-encoding", "content-type", "date", "server", "te", "user-agent", "grpc-accept-encoding", "grpc-timeout", "host"];

    private readonly DateTimeOffset _started = clock.GetUtcNow();
    private readonly HashSet<string> _compared = new(recording?.Compare ?? [], StringComparer.OrdinalIgnoreCase);

    /// <summary>Null for an empty body.</summary>
    public JsonNode? Body(byte[] body)
    {
        if (body.Length == 0)
            return null;
        string text;
        try
        {
            text = StrictUtf8.GetString(body);
        }
        catch (DecoderFallbackException)
        {
            return new JsonObject { ["base64"] = Convert.ToBase64String(body) };
        }
        if (text.Count(letter => letter is '[' or '{') > Deep)
            return $"{text[..KeptOfDeepText]}... ({body.Length} bytes, deep)";
        if (!TryParse(text, out var json) || (recording?.Exact == true && !IsError(json)))
            return text.Length <= LongestText ? Text(text) : $"{text[..KeptOfLongText]}... ({body.Length} bytes)";
        return json switch
        {
            null => "@json null",
            JsonValue value when value.GetValueKind() == JsonValueKind.String => new JsonObject { ["jsonString"] = Text((string)value!) },
            _ => Json(json),
        };
    }

    /// <summary>Names as Go writes them, sorted; empty when none is left.</summary>
    public JsonObject Headers(IEnumerable<KeyValuePair<string, IEnumerable<string>>> headers)
    {
        var recorded = new JsonObject();
        var meaningful = headers.Where(header => !IgnoredHeaders.Contains(header.Key) || _compared.Contains(header.Key)).OrderBy(header => header.Key, StringComparer.OrdinalIgnoreCase);
        foreach (var (name, values) in meaningful)
            recorded[Canonical(name)] = HeaderText(Canonical(name), WireText.FromHeader(string.Join(", ", values)));
        return recorded;
    }

    /// <summary>Of a gRPC call; what is binary varies.</summary>
    public JsonObject Metadata(Metadata metadata)
    {
        var recorded = new JsonObject();
        foreach (var entries in metadata.GroupBy(entry => entry.Key).Where(entries => !IgnoredMetadata.Contains(entries.Key)).OrderBy(entries => entries.Key, StringComparer.Ordinal))
            recorded[entries.Key] = entries.First().IsBinary ? "{varies}" : HeaderText(Canonical(entries.Key), string.Join(", ", entries.Select(entry => entry.Value)));
        return recorded;
    }

    /// <summary>A copy with every text, and every port of an app, replaced.</summary>
    public JsonNode? Json(JsonNode? json) => json switch
    {
        JsonObject fields => new JsonObject(fields.Select(field => KeyValuePair.Create(Text(field.Key), Field(field.Key, field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Json)]),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => Text((string)value!),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number && AppOfPort(value.ToJsonString()) is { } app => $"{{appPort:{app}}}",
        _ => json?.DeepClone(),
    };

    public string Text(string text)
    {
        text = TraceParent().Replace(text, match => match.Groups["trace"].Value == CallersTrace
            ? $"{{traceparent of the caller's trace, flags {match.Groups["flags"].Value}}}"
            : "{traceparent}");
        text = Uuid().Replace(text, "{uuid}");
        text = Time().Replace(text, match => IsOfThisRun(match.Value) ? "{time}" : match.Value);
        text = HttpDate().Replace(text, "{httpDate}");
        text = text.Replace(directory, "{dir}", StringComparison.Ordinal);
        text = Port().Replace(text, match => AppOfPort(match.Groups[1].Value) is { } app ? $":{{appPort:{app}}}" : match.Value);
        return text.Length <= LongestText ? text : $"{text[..KeptOfLongText]}... ({text.Length} characters)";
    }

    private static bool IsError(JsonNode? json) => json is JsonObject fields && fields.ContainsKey("errorCode");

    private JsonNode? Field(string name, JsonNode? value)
    {
        if (value is not JsonValue text || text.GetValueKind() != JsonValueKind.String)
            return name == "connected_addresses" ? new JsonArray("{hostIP}:{schedulerPort}") : Json(value);
        // Raw data that is a JSON object is shown decoded, so that what differs inside it can be replaced.
        if (name == "data_base64" && TryDecode((string)value!) is { } decoded && decoded.StartsWith('{'))
            return "@base64 of " + Text(decoded);
        return Json(value);
    }

    private string HeaderText(string name, string value)
    {
        value = Text(value);
        if (name is "Forwarded" or "X-Forwarded-For" or "X-Forwarded-Host")
        {
            value = value.Replace(HostName, "{host}", StringComparison.OrdinalIgnoreCase);
            foreach (var address in HostAddresses.Append("127.0.0.1"))
                value = value.Replace(address, "{hostIP}", StringComparison.Ordinal);
        }
        return name == "Readtimeutc" ? GoTime().Replace(value, "{time}") : value;
    }

    private string? AppOfPort(string port) =>
        appPorts.Where(app => app.Value != 0 && app.Value.ToString() == port).Select(app => app.Key).FirstOrDefault();

    /// <summary>A time that a publisher wrote himself is data; one of the last minutes or the next hours was made by the run.</summary>
    private bool IsOfThisRun(string time) =>
        DateTimeOffset.TryParse(time, out var at) && at > _started.AddMinutes(-1) && at < _started.AddDays(1);

    private static string Canonical(string name) =>
        string.Join('-', name.Split('-').Select(part => part.Length == 0 ? part : char.ToUpperInvariant(part[0]) + part[1..].ToLowerInvariant()));

    private static string? TryDecode(string base64)
    {
        var bytes = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, bytes, out var length) ? Encoding.UTF8.GetString(bytes, 0, length) : null;
    }

    private static bool TryParse(string text, out JsonNode? json)
    {
        try
        {
            json = JsonNode.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            json = null;
            return false;
        }
    }

    [GeneratedRegex(@"\b[0-9a-f]{2}-(?<trace>[0-9a-f]{32})-[0-9a-f]{16}-(?<flags>[0-9a-f]{2})\b")]
    private static partial Regex TraceParent();

    [GeneratedRegex(@"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")]
    private static partial Regex Uuid();

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")]
    private static partial Regex Time();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC$")]
    private static partial Regex GoTime();

    [GeneratedRegex(@"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b")]
    private static partial Regex HttpDate();

    [GeneratedRegex(@":(\d{2,5})\b")]
    private static partial Regex Port();
}
