using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DaprOrders.Tests;

/// <summary>
/// Every operation of a service, as its OpenAPI document lists them, with everything that can be wrong in its path, its query, its headers and
/// its body. Whatever is answered is problem details in the words of the API: no 500, and no name out of the program.
/// </summary>
public static partial class WrongInput
{
    private static readonly string[] PathTexts = ["a", "-1", "a%20b", "a%7Cb", "%07", "%F0%9F%8D%B5", new string('x', 65), new string('x', 3000)];

    private static readonly string[] QueryTexts =
        ["", "x", "-1", "0", "1.5", "true", "99999999999999999999", "2026-13-45", "0001-01-01", "9999-12-31", "%00", "%22", "%0A", "a&{0}=b", new string('9', 500)];

    private static readonly string[] Bodies = ["", " ", "null", "{", "}", "[]", "[{}]", "5", "\"x\"", "{}", "{\"a\":1,\"a\":2}", "\u00A0", new string('[', 200)];

    private static readonly string[] Values =
        ["null", "\"\"", "\"x\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\ufffd\"", "5", "-1", "1.5", "1e400", "99999999999999999999", "true", "{}", "[]", "[null]", "[5]"];

    private static readonly (string Name, string Value)[] HeaderTexts =
        [("Idempotency-Key", "a b"), ("Idempotency-Key", new string('k', 256)), ("If-Match", "3"), ("If-Match", "\"x\""), ("traceparent", "x")];

    private static readonly HashSet<string> ProgramNames =
        ["System", "DaprOrders", "Nullable", "Int16", "Int32", "Int64", "Boolean", "DateOnly", "DateTimeOffset", "StringValues", "JsonElement", "Exception", "IReadOnlyList", "Implicit", "inferred"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="validBodies">By operation, for instance <c>PUT /products/{sku}</c>: each value in them is replaced by wrong ones in turn.</param>
    public static async Task IsAnsweredInTheWordsOfTheApiAsync(HttpClient client, IReadOnlyDictionary<string, string>? validBodies = null)
    {
        var names = TypeNames();
        var faults = new List<string>();
        var sent = 0;
        using var document = JsonDocument.Parse(await client.GetStringAsync(new Uri("/openapi/v1.json", UriKind.Relative), Cancellation));
        foreach (var path in document.RootElement.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                var name = $"{operation.Name.ToUpperInvariant()} {path.Name}";
                foreach (var (target, body, header) in RequestsOf(path.Name, operation.Value, validBodies?.GetValueOrDefault(name)))
                {
                    sent++;
                    if (await FaultAsync(client, new HttpMethod(operation.Name.ToUpperInvariant()), target, body, header, names) is { } fault)
                        faults.Add($"{name}: {Short(target)} {Short(body?.Text)} {header.Name} -> {fault}");
                }
            }
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults.Take(40)));
        Assert.True(sent > 50, $"only {sent} requests were sent");
        Assert.All(validBodies?.Keys ?? [], operation => Assert.True(
            document.RootElement.GetProperty("paths").TryGetProperty(operation.Split(' ')[1], out _), $"There is no operation {operation}."));
    }

    private static IEnumerable<(string Target, Content? Body, (string Name, string Value) Header)> RequestsOf(string path, JsonElement operation, string? validBody)
    {
        var usual = Placeholder().Replace(path, "a");
        var valid = validBody is null ? null : new Content(validBody);
        foreach (var text in PathTexts.Where(_ => path.Contains('{', StringComparison.Ordinal)))
            yield return (Placeholder().Replace(path, text.Replace("$", "$$", StringComparison.Ordinal)), valid, default);

        if (operation.TryGetProperty("parameters", out var parameters))
        {
            foreach (var parameter in parameters.EnumerateArray().Where(parameter => parameter.GetProperty("in").GetString() == "query"))
            {
                var name = parameter.GetProperty("name").GetString()!;
                foreach (var text in QueryTexts)
                    yield return ($"{usual}?{name}={text.Replace("{0}", name, StringComparison.Ordinal)}", valid, default);
            }
        }

        foreach (var header in HeaderTexts)
            yield return (usual, valid, header);
        if (!operation.TryGetProperty("requestBody", out _))
            yield break;

        yield return (usual, null, default);
        yield return (usual, new Content("<to>Ann</to>", "text/xml"), default);
        yield return (usual, new Content("{}", "text/plain"), default);
        yield return (usual, new Content("{}", "application/json; charset=utf-7"), default);
        foreach (var body in Bodies.Concat(validBody is null ? [] : Spoilt(validBody)))
            yield return (usual, new Content(body), default);
    }

    /// <summary>The body with each of its values, in turn, replaced by each wrong one, taken away, or there twice.</summary>
    private static IEnumerable<string> Spoilt(string body)
    {
        const string Mark = "\"-here-\"";
        foreach (var path in PathsIn(JsonNode.Parse(body)!))
        {
            var marked = JsonNode.Parse(body)!;
            var (parent, last) = (path[..^1].Aggregate(marked, (node, step) => step is int index ? node[index]! : node[(string)step]!), path[^1]);
            if (last is string field)
                parent[field] = "-here-";
            else
                parent[(int)last] = "-here-";
            foreach (var value in Values)
                yield return marked.ToJsonString().Replace(Mark, value, StringComparison.Ordinal);

            if (last is string name)
            {
                yield return marked.ToJsonString().Replace(Mark, $"1,\"{name}\":2", StringComparison.Ordinal);
                parent.AsObject().Remove(name);
                yield return marked.ToJsonString();
            }
        }
    }

    private static IEnumerable<object[]> PathsIn(JsonNode node, params object[] at)
    {
        var children = node switch
        {
            JsonObject fields => fields.Select(field => (Step: (object)field.Key, field.Value)),
            JsonArray items => items.Select((item, index) => (Step: (object)index, Value: item)),
            _ => [],
        };
        return children.SelectMany(child => (IEnumerable<object[]>)[[.. at, child.Step], .. child.Value is null ? [] : PathsIn(child.Value, [.. at, child.Step])]);
    }

    private static async Task<string?> FaultAsync(
        HttpClient client, HttpMethod method, string target, Content? body, (string Name, string Value) header, HashSet<string> names)
    {
        using var request = new HttpRequestMessage(method, new Uri(target, UriKind.Relative)) { Content = body?.ToHttp() };
        if (header.Name is not null)
            request.Headers.TryAddWithoutValidation(header.Name, header.Value);
        // What is taken may answer without end.
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        if ((int)answer.StatusCode < 400)
            return null;
        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        if ((int)answer.StatusCode == 500)
            return $"500 {text}";
        if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json")
            return $"{(int)answer.StatusCode} {answer.Content.Headers.ContentType} {text}";
        return Word().Matches(text).Select(word => word.Value).FirstOrDefault(names.Contains) is { } leaked ? $"names '{leaked}': {text}" : null;
    }

    /// <summary>Names with a capital within: others could be words.</summary>
    private static HashSet<string> TypeNames() =>
    [
        .. ProgramNames,
        .. AppDomain.CurrentDomain.GetAssemblies()
            .Where(assembly => assembly.GetName().Name is { } name && name.StartsWith("DaprOrders.", StringComparison.Ordinal) && !name.EndsWith(".Tests", StringComparison.Ordinal))
            .SelectMany(assembly => assembly.GetTypes())
            .Select(type => type.Name)
            .Where(name => Compound().IsMatch(name)),
    ];

    private static string? Short(string? text) => text is { Length: > 120 } ? text[..120] + "..." : text;

    private sealed record Content(string Text, string Type = "application/json")
    {
        public ByteArrayContent ToHttp()
        {
            var content = new ByteArrayContent(Encoding.UTF8.GetBytes(Text));
            content.Headers.TryAddWithoutValidation("Content-Type", Type);
            return content;
        }
    }

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Placeholder();

    [GeneratedRegex("[A-Za-z_][A-Za-z0-9_]*")]
    private static partial Regex Word();

    [GeneratedRegex(@"\A[A-Z][a-z0-9]+[A-Z][A-Za-z0-9]*\z")]
    private static partial Regex Compound();
}
