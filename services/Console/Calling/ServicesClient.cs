using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using DaprOrders.Console.SigningIn;

namespace DaprOrders.Console.Calling;

/// <summary>Calls the services by Dapr invocation, in the name of whoever looks at the page.</summary>
public sealed class ServicesClient(IHttpClientFactory clients, Visitor visitor)
{
    public const string Calls = "services";
    public const string Acts = "acts";
    public const string Updates = "updates";

    /// <summary>A redrive may take half a minute before the service gives it up.</summary>
    public static readonly TimeSpan ActsWithin = TimeSpan.FromSeconds(35);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>The end of an address with a query, for the page of a list that begins at this cursor; null: the first.</summary>
    public static string From(string? cursor) => cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";

    public Task<Answer<T>> GetAsync<T>(string app, string path, CancellationToken cancellationToken)
        where T : class => SendAsync<T>(HttpMethod.Get, app, path, null, cancellationToken);

    /// <summary>How a service is. One that is not ready says so with 503, and why in the body.</summary>
    public async Task<Answer<Health>> GetHealthAsync(string app, CancellationToken cancellationToken)
    {
        try
        {
            using var http = clients.CreateClient(Calls);
            using var request = await RequestAsync(HttpMethod.Get, app, "healthz/ready");
            using var answer = await http.SendAsync(request, cancellationToken);
            var text = await answer.Content.ReadAsStringAsync(cancellationToken);
            if (answer.IsSuccessStatusCode && text.Length == 0)
                return new(new Health("Healthy", null), null);
            return TryParse(text) is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty("status", out _)
                ? new(json.Deserialize<Health>(Json), null)
                : new(null, await FailureAsync(app, answer, cancellationToken));
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new(null, Unreachable(app, e));
        }
    }

    /// <param name="body">Sent as JSON; null: none.</param>
    public async Task<Answer<T>> SendAsync<T>(
        HttpMethod method, string app, string path, object? body, CancellationToken cancellationToken, params (string Name, string Value)[] headers)
        where T : class
    {
        // They would be taken out of the address on the way, and something else be asked for.
        if (path.Split('?')[0].Split('/').FirstOrDefault(part => part is "." or "..") is { } noId)
            return new(null, new(app, HttpStatusCode.NotFound, $"“{noId}” is no id."));
        var acts = method != HttpMethod.Get;
        try
        {
            using var http = clients.CreateClient(acts ? Acts : Calls);
            using var request = await RequestAsync(method, app, path);
            if (body is not null)
                request.Content = JsonContent.Create(body, options: Json);
            foreach (var (name, content) in headers)
                request.Headers.Add(name, content);
            using var answer = await http.SendAsync(request, cancellationToken);
            if (!answer.IsSuccessStatusCode)
                return new(null, await FailureAsync(app, answer, cancellationToken));
            if (typeof(T) == typeof(Nothing))
                return new((T)(object)Nothing.Instance, null);
            return await answer.Content.ReadFromJsonAsync<T>(Json, cancellationToken) is { } value ? new(value, null) : new(null, new(app, answer.StatusCode, "an empty answer"));
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new(null, acts && e is OperationCanceledException ? Failure.NoAnswerYet(app) : Unreachable(app, e));
        }
    }

    /// <summary>An answer that is read while it goes on. The caller disposes of it.</summary>
    public async Task<HttpResponseMessage> OpenAsync(string app, string path, string? lastEventId, CancellationToken cancellationToken)
    {
        var http = clients.CreateClient(Updates);
        using var request = await RequestAsync(HttpMethod.Get, app, path);
        request.Headers.Accept.Add(new("text/event-stream"));
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    private async Task<HttpRequestMessage> RequestAsync(HttpMethod method, string app, string path)
    {
        var request = new HttpRequestMessage(method, new Uri($"http://{app}/{path}"));
        if (await visitor.TokenAsync() is { } token)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    private static Failure Unreachable(string app, Exception e) => new(app, null, e is OperationCanceledException ? "no answer in time" : e.Message);

    /// <summary>Services and Dapr say in the body what is wrong: as problem details, and as <c>{"errorCode","message"}</c>.</summary>
    private static async Task<Failure> FailureAsync(string app, HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        var problem = TryParse(text);
        // That the other application is not there is Dapr's answer, not the application's.
        if (Text(problem, "errorCode") is { } code)
            return new(app, answer.StatusCode == HttpStatusCode.Forbidden ? answer.StatusCode : null, Text(problem, "message") ?? code);
        return new(app, answer.StatusCode, FieldErrors(problem) ?? Text(problem, "detail") ?? Text(problem, "title") ?? answer.ReasonPhrase ?? "no reason given");
    }

    /// <summary>What is wrong with which field says more than that some are wrong.</summary>
    private static string? FieldErrors(JsonElement? problem) =>
        problem is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty("errors", out var errors) && errors.ValueKind == JsonValueKind.Object
            ? string.Join(" ", errors.EnumerateObject().Select(field => $"{field.Name}: {string.Join(" ", field.Value.EnumerateArray())}"))
            : null;

    private static JsonElement? TryParse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement? json, string name) =>
        json is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>For answers without a body.</summary>
public sealed class Nothing
{
    public static Nothing Instance { get; } = new();
}
