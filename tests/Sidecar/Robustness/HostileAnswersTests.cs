using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Recordings;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Robustness;

/// <summary>
/// Whatever an application answers to its sidecar (to the questions of the start, to deliveries, invocations, calls of actors, probes), the sidecar
/// goes on, and so do those of the other applications: it gets ready, its APIs answer, and the next delivery comes.
/// </summary>
public sealed class HostileAnswersTests
{
    private static readonly string[] Probes = ["GET /dapr/config", "GET /dapr/subscribe", "OPTIONS /tick", "GET /healthz"];
    private static readonly string[] Work = ["POST /one", "POST /many", "POST /echo", "PUT /actors/T/1/method/m", "DELETE /actors/T/1", "PUT /actors/T/1/method/remind/r"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>As they stand on the wire, by what they are.</summary>
    private static Dictionary<string, string> Answers { get; } = new()
    {
        ["nothing"] = "-",
        ["no HTTP"] = "hello, this is no HTTP\r\n\r\n",
        ["half a header"] = "HTTP/1.1 200 OK\r\nContent-Ty",
        ["a body cut off"] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[{\"pubsubname\":",
        ["chunks cut off"] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{\"st\r\n",
        ["chunks that are none"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
        ["two lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        ["a negative length"] = "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n[]",
        ["status 99"] = "HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\n[]",
        ["status 999"] = "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n[]",
        ["an upgrade"] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ["204 with a body"] = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n[]",
        ["304 with a body"] = "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n[]",
        ["a redirect"] = "HTTP/1.1 302 Found\r\nLocation: /dapr/subscribe\r\nContent-Length: 0\r\n\r\n",
        ["headers that are not ASCII"] = Ok("[]", "X-Odd: @ü€🍵"),
        ["a header of 100 kB"] = Ok("[]", "X-Long: " + new string('h', 100_000)),
        ["5000 headers"] = Ok("[]", string.Join("\r\n", Enumerable.Range(0, 5000).Select(n => $"X-{n}: {n}"))),
        ["an unknown content encoding"] = Ok("[]", "Content-Encoding: nonsense"),
        ["a content type that is none"] = Ok("[]", "Content-Type: ;;;"),
        ["HTML"] = Ok("<!doctype html><p>hello"),
        ["an object"] = Ok("{\"status\":{},\"statuses\":1,\"entities\":\"T\",\"entitiesConfig\":[1]}"),
        ["null"] = Ok("null"),
        ["half a list"] = Ok("[{\"pubsubname\":\"pubsub\",\"topic\":\"t\""),
        ["odd entries"] = Ok("[null,1,[],{\"pubsubname\":1},{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"route\":{}}]"),
        ["metadata that are no texts"] = Ok("[{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"route\":\"/t\",\"metadata\":{\"rawPayload\":true,\"a\":{},\"a\":[]}}]"),
        ["metadata that mean nothing"] = Ok("[{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"route\":\"/t\",\"metadata\":{\"rawPayload\":\"perhaps\"}}]"),
        ["rules without end"] = Ok($"[{{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"routes\":{{\"rules\":[{{\"match\":\"{Times("(", 50_000)}\",\"path\":\"/t\"}}]}}}}]"),
        ["rules that hang together without end"] = Ok($"[{{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"routes\":{{\"rules\":[{{\"match\":\"{Times("true && ", 50_000)}true\",\"path\":\"/t\"}}]}}}}]"),
        ["a number beyond all"] = Ok("[{\"pubsubname\":\"pubsub\",\"topic\":\"t\",\"routes\":{\"rules\":[{\"match\":\"0xFFFFFFFFFFFFFFFFFF == 1\",\"path\":\"/t\"}]}}]"),
        ["halves of surrogates"] = Ok("[{\"pubsubname\":\"\\ud800\",\"topic\":\"\\udc00\",\"route\":\"\\ud800\",\"\\ud800\":1,\"status\":\"\\ud800\"}]"),
        ["lists in lists"] = Ok(Times("[", 200_000) + Times("]", 200_000)),
        ["objects in objects"] = Ok(Times("{\"a\":", 200_000) + "1" + Times("}", 200_000)),
        ["settings of actors that are none"] = Ok("{\"entities\":[\"T\",1,null],\"actorIdleTimeout\":\"99999999999999999999999999999h\",\"drainOngoingCallTimeout\":\"-1s\",\"reentrancy\":{\"maxStackDepth\":1.5},\"entitiesConfig\":[null,[],\"x\"]}"),
        ["actors that are idle at once"] = Ok("{\"entities\":[\"T\"],\"actorIdleTimeout\":\"1ns\"}"),
    };

    [Fact]
    public async Task Do_not_end_a_sidecar()
    {
        var failures = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(Answers, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancellation }, async (answer, _) =>
        {
            if (await PlayAsync(answer.Value) is { } failure)
                failures.Enqueue($"{answer.Key}: {failure}");
        });

        Assert.True(failures.IsEmpty, string.Join(Environment.NewLine, failures));
    }

    private static async Task<string?> PlayAsync(string answer)
    {
        try
        {
            await using var start = await StartAppAsync("start", Probes, answer);
            await using var work = await StartAppAsync("worker", Work, answer);
            await using var dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [Options(start), Options(work)] }, Cancellation);
            await dapr.Ready.WaitAsync(TimeSpan.FromMinutes(3), Cancellation);
            await UseAsync(dapr, work.Calls);
            foreach (var sidecar in dapr.Sidecars)
                Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(sidecar, HttpMethod.Get, "/v1.0/healthz"));
            return null;
        }
        catch (Exception failure) when (!Cancellation.IsCancellationRequested)
        {
            return failure.ToString();
        }
    }

    /// <summary>Everything that makes a sidecar call its application; each delivery twice, so that the second shows that the first stopped nothing.</summary>
    private static async Task UseAsync(EmbeddedDapr dapr, AppCalls calls)
    {
        var sidecar = dapr["worker"];
        // The questions of the start.
        await calls.TakeAsync(2, TimeSpan.FromSeconds(30), TimeSpan.Zero, Cancellation);
        for (var i = 0; i < 2; i++)
        {
            await DeliverAsync(sidecar, calls, "one");
            await DeliverAsync(sidecar, calls, "many");
        }

        await StatusAsync(sidecar, HttpMethod.Post, "/v1.0/invoke/worker/method/echo", "{}");
        await StatusAsync(dapr["start"], HttpMethod.Post, "/v1.0/invoke/worker/method/echo", "{}");
        await StatusAsync(sidecar, HttpMethod.Put, "/v1.0/actors/T/1/method/m", "{}");
        await StatusAsync(sidecar, HttpMethod.Post, "/v1.0/actors/T/1/reminders/r", """{"dueTime":"0s"}""");
        using var channel = Sidecars.Grpc(sidecar);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        try
        {
            await client.InvokeServiceAsync(
                new InvokeServiceRequest { Id = "worker", Message = new() { Method = "echo", HttpExtension = new() { Verb = HTTPExtension.Types.Verb.Post } } },
                cancellationToken: Cancellation);
        }
        catch (RpcException refused)
        {
            Assert.NotEqual(StatusCode.Unavailable, refused.StatusCode);
        }
    }

    /// <summary>
    /// Publishes until the application is called. A connection that it closes after its answer may take the next call with it, and
    /// pubsub.in-memory does not deliver again.
    /// </summary>
    private static async Task DeliverAsync(SidecarHost sidecar, AppCalls calls, string topic)
    {
        for (var attempt = 0; attempt < 10; attempt++)
        {
            Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(sidecar, HttpMethod.Post, $"/v1.0/publish/pubsub/{topic}", "{}"));
            var delivered = await calls.TakeAsync(1, TimeSpan.FromSeconds(5), TimeSpan.Zero, Cancellation);
            // One of an attempt before may come late.
            Assert.All(delivered, call => Assert.Contains((string)call!["call"]!, new[] { "POST /one", "POST /many" }));
            if (delivered.Any(call => (string)call!["call"]! == $"POST /{topic}"))
                return;
        }

        Assert.Fail($"Topic {topic} brings nothing any more.");
    }

    private static async Task<HttpStatusCode?> StatusAsync(SidecarHost sidecar, HttpMethod verb, string path, string? body = null)
    {
        using var http = Sidecars.Http(sidecar);
        using var request = new HttpRequestMessage(verb, new Uri(path, UriKind.Relative)) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        try
        {
            using var answer = await http.SendAsync(request, Cancellation);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            // An application's answer that broke off breaks off here too, and one with odd headers is handed on with them.
            return null;
        }
    }

    private static async Task<HostileApp> StartAppAsync(string id, IEnumerable<string> calls, string answer)
    {
        var serve = new JsonObject { ["GET /dapr/config"] = new JsonArray(new JsonObject { ["jsonText"] = """{"entities":["T"]}""" }) };
        foreach (var call in calls)
            serve[call] = new JsonArray(new JsonObject { ["raw"] = answer });
        var script = AppScript.From(new JsonObject { ["id"] = id, ["serve"] = serve });
        var (port, seen) = (FreePort.Next(), new AppCalls());
        var app = new RecordingApp(script, port, seen, new RecordedForm("/nowhere", new Dictionary<string, int>(), TimeProvider.System));
        await app.StartAsync(Cancellation);
        return new(id, port, app, seen);
    }

    private static SidecarOptions Options(HostileApp app) => new()
    {
        AppId = app.Id,
        AppPort = app.Port,
        Resources = new ResourceSet(
            [
                Sidecars.Component("pubsub", "pubsub.in-memory"),
                Sidecars.Component("store", "state.in-memory", ("actorStateStore", "true")),
                Sidecars.Component("tick", "bindings.cron", ("schedule", "@every 10h")) with { Scopes = ["start"] },
            ],
            [Subscription("one", null), Subscription("many", new BulkSubscribe(true, 10, 10))],
            [],
            []),
    };

    private static SubscriptionResource Subscription(string topic, BulkSubscribe? bulk) => new(
        topic, "pubsub", topic, [new RouteRule("", "/" + topic)], null, new Dictionary<string, string>(), bulk, ["worker"], default);

    private static string Ok(string body, string header = "X-None: 0") =>
        $"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";

    private static string Times(string text, int times) => new StringBuilder(text.Length * times).Insert(0, text, times).ToString();

    private sealed record HostileApp(string Id, int Port, RecordingApp App, AppCalls Calls) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => App.DisposeAsync();
    }
}
