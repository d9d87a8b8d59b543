using System.Collections.Concurrent;
using System.Net;
using System.Text;

namespace DaprOrders.Console.Tests;

/// <summary>What the console asked of the services, by Dapr invocation.</summary>
public sealed record Asked(HttpMethod Method, string App, string Path, string? Body, string? Authorization);

/// <summary>Stands where the sidecar is: answers as it was told, and as a sidecar whose application is away where it was not.</summary>
public sealed class FakeServices : HttpMessageHandler
{
    private const string Prefix = "/v1.0/invoke/";

    private readonly ConcurrentDictionary<string, Func<Task<HttpResponseMessage>>> _answers = new();

    public ConcurrentQueue<Asked> Asked { get; } = [];

    /// <param name="path">With its query.</param>
    public FakeServices Answer(string app, string path, string json, HttpStatusCode status = HttpStatusCode.OK, string method = "GET") =>
        Answer(app, path, () => new HttpResponseMessage(status) { Content = new StringContent(json, Encoding.UTF8, "application/json") }, method);

    public FakeServices Answer(string app, string path, Func<HttpResponseMessage> answer, string method = "GET")
    {
        _answers[$"{method} {app}/{path}"] = () => Task.FromResult(answer());
        return this;
    }

    public void AnswerLater(string app, string path, Task<HttpResponseMessage> answer) => _answers[$"GET {app}/{path}"] = () => answer;

    /// <summary>A service that has gone away.</summary>
    public FakeServices Without(string app)
    {
        foreach (var asked in _answers.Keys.Where(asked => asked.Split(' ')[1].Split('/')[0] == app))
            _answers.TryRemove(asked, out _);
        return this;
    }

    /// <summary>A system at rest: nothing was ordered, and all are well.</summary>
    public static FakeServices AtRest()
    {
        var services = new FakeServices();
        foreach (var app in Calling.Apps.All)
        {
            services.Answer(app, "dead-letters?limit=500", """{"deadLetters":[],"cursor":null}""")
                .Answer(app, "dead-letters/counts", """{"letters":0,"groups":[],"cursor":null}""")
                .Answer(app, Samples.FailuresOf("o-1"), """{"failures":[]}""")
                .Answer(app, "dead-letters/removed", """{"removed":[],"cursor":null}""")
                .Answer(app, "dead-letters/acts?limit=50", """{"acts":[],"cursor":null}""")
                .Answer(app, "catch-up", """{"publishers":[]}""")
                .Answer(app, "sidecar", $$"""{"id":"{{app}}","runtimeVersion":"1.18.1","components":[],"subscriptions":[]}""")
                .Answer(app, "traffic", $$$"""{"instance":"{{{app}}}-1","calls":{"called":{},"calledBy":{}},"silent":null,"published":{},"delivered":{}}""")
                .Answer(app, "healthz/ready", """{"status":"Healthy","checks":{"sidecar":{"status":"Healthy","reason":null}}}""");
        }

        foreach (var app in Calling.Apps.Publishers)
        {
            services.Answer(app, "event-log", """{"lanes":[{"name":"lane-1","settled":4,"isClosed":false}],"loss":null}""")
                .Answer(app, "event-log/parked", """{"events":[]}""");
        }

        return services
            .Answer("reporting", "summary", """{"orders":0,"byStatus":{"created":0,"stockReserved":0,"paid":0,"shipped":0,"cancelled":0},"sold":0,"revenue":[]}""")
            .Answer("reporting", "orders?limit=200", """{"orders":[],"cursor":null}""")
            .Answer("reporting", "orders?limit=50", """{"orders":[],"cursor":null}""")
            .Answer("reporting", "projections", """{"serving":{"version":1,"since":null,"events":0,"lanes":[]},"building":null,"failure":null}""")
            .Answer("inventory", "products?limit=100", """{"products":[],"next":null}""")
            .Answer("reporting", "updates", "{}", HttpStatusCode.NotFound);
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var (app, path) = Split(request.RequestUri!);
        Asked.Enqueue(new(request.Method, app, path, request.Content is null ? null : await request.Content.ReadAsStringAsync(cancellationToken), request.Headers.Authorization?.ToString()));
        return _answers.TryGetValue($"{request.Method} {app}/{path}", out var answer)
            ? await answer().WaitAsync(cancellationToken)
            : new HttpResponseMessage(HttpStatusCode.InternalServerError)
            {
                Content = new StringContent($$"""{"errorCode":"ERR_DIRECT_INVOKE","message":"fail to invoke, id: {{app}}"}""", Encoding.UTF8, "application/json"),
            };
    }

    private static (string App, string Path) Split(Uri address)
    {
        var rest = address.PathAndQuery[Prefix.Length..];
        var app = rest[..rest.IndexOf('/', StringComparison.Ordinal)];
        return (app, rest[(app.Length + "/method/".Length)..]);
    }
}
