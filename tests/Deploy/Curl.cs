using System.Text.RegularExpressions;

namespace DaprOrders.Deploy.Tests;

/// <summary>A curl command of a page, by the options that are used there; another one is refused.</summary>
internal sealed partial record Curl(string Method, Uri Address, IReadOnlyDictionary<string, string> Headers, string? Body)
{
    /// <summary>All within a line, wherever they stand in it.</summary>
    public static IEnumerable<Curl> In(string line) => Command().Matches(line).Select(command => Read(command.Value));

    private static Curl Read(string command)
    {
        var words = new Queue<string>(Word().Matches(command).Select(word => word.Value.Replace("'", "", StringComparison.Ordinal).Replace("\\\"", "\"", StringComparison.Ordinal)).Skip(1));
        string? method = null, address = null, body = null;
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (words.TryDequeue(out var word))
        {
            switch (word)
            {
                case "-s" or "--retry-connrefused":
                    break;
                case "--retry":
                    words.Dequeue();
                    break;
                case "-X" or "-sX":
                    method = words.Dequeue();
                    break;
                case "-H":
                    var header = words.Dequeue().Split(':', 2);
                    headers[header[0]] = header[1].Trim();
                    break;
                case "--json":
                    body = words.Dequeue();
                    break;
                case ['-', ..]:
                    throw new NotSupportedException($"{command}: {word} is not read here.");
                default:
                    address = address is null ? word : throw new NotSupportedException($"{command}: expected one address, got {word} as well.");
                    break;
            }
        }

        var uri = new Uri(address!.StartsWith("http", StringComparison.Ordinal) ? address : $"http://{address}");
        return new(method ?? (body is null ? "GET" : "POST"), uri, headers, body);
    }

    [GeneratedRegex(@"\bcurl (?:'[^']*'|[^'|;&])+")]
    private static partial Regex Command();

    [GeneratedRegex(@"(?:'[^']*'|[^\s'])+")]
    private static partial Regex Word();
}
