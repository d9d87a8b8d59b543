using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>From a publish call to the application's handler and back, through a sidecar and pubsub.sqlite.</summary>
public sealed class DeliveryOverSqliteTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Channel<string> _arrived = Channel.CreateUnbounded<string>();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Events_published_in_bulk_arrive_in_the_order_of_publication_each_once_where_one_batch_is_at_work_at_a_time()
    {
        const int Calls = 50, Entries = 100;
        await using var app = await TestApp.StartAsync(context => AnswerBatchAsync(context, _ => "SUCCESS"));
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, Bulk, ("concurrency", "1")));
        await dapr["one"].Ready;
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        var started = TimeProvider.System.GetTimestamp();
        var expected = new List<string>();
        for (var call = 0; call < Calls; call++)
        {
            var request = new BulkPublishRequest { PubsubName = "pubsub", Topic = "orders" };
            for (var entry = 0; entry < Entries; entry++)
            {
                expected.Add($"{call}-{entry}");
                request.Entries.Add(new BulkPublishRequestEntry
                {
                    EntryId = $"{entry}",
                    ContentType = "application/json",
                    Event = ByteString.CopyFromUtf8($$"""{"n":"{{expected[^1]}}"}"""),
                });
            }

            await client.BulkPublishEventAsync(request, cancellationToken: Cancellation);
        }

        Assert.Equal(expected, await ArrivedAsync(expected.Count));
        var rate = expected.Count / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        TestContext.Current.TestOutputHelper?.WriteLine($"{rate:F0} events a second from one publisher to one application");
    }

    [Fact]
    public async Task An_entry_that_fails_comes_again_by_itself_until_it_succeeds()
    {
        var failures = 2;
        await using var app = await TestApp.StartAsync(context => AnswerBatchAsync(context, n => n == "2" && failures-- > 0 ? "RETRY" : "SUCCESS"));
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, Bulk));
        await dapr["one"].Ready;

        foreach (var n in new[] { "1", "2", "3" })
            await PublishAsync(dapr, n);

        var arrived = await ArrivedAsync(5);
        Assert.Equal(["1", "2", "2", "2", "3"], arrived.Order());
        await PublishAsync(dapr, "4");
        Assert.Equal(["4"], await ArrivedAsync(1));
    }

    [Fact]
    public async Task An_entry_that_is_dropped_comes_again_until_its_dead_letter_is_kept()
    {
        // Once when it is dropped, and once more when the delivery has failed for that.
        var failures = 2;
        var letters = Channel.CreateUnbounded<string>();
        await using var app = await TestApp.StartAsync(context => AnswerBatchAsync(context, _ => "DROP"));
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Options(app.Port, Bulk with { DeadLetterTopic = "dead" })],
                BeforeCall = (call, _) =>
                {
                    if (!call.Subjects.Contains("dead"))
                        return default;
                    if (Interlocked.Decrement(ref failures) >= 0)
                        throw new IOException("the disk is full");
                    letters.Writer.TryWrite(call.Operation);
                    return default;
                },
            },
            Cancellation);
        await dapr["one"].Ready;

        await PublishAsync(dapr, "1");

        Assert.Equal(["1", "1"], await ArrivedAsync(2));
        Assert.EndsWith("publish", await letters.Reader.ReadAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_application_that_does_not_answer_in_time_gets_no_further_batch_beside_the_two_that_it_has()
    {
        await using var app = await TestApp.StartAsync(context => AnswerBatchAsync(context, _ => "SUCCESS", Timeout.InfiniteTimeSpan));
        var policies = new PolicyNames("quick", "often", null);
        var resiliency = new ResiliencyResource(
            "policies",
            new Dictionary<string, TimeSpan> { ["quick"] = TimeSpan.FromMilliseconds(100) },
            new Dictionary<string, RetryPolicy> { ["often"] = new(RetryPolicyKind.Constant, TimeSpan.Zero, TimeSpan.Zero, 1000, [], []) },
            new Dictionary<string, CircuitBreakerPolicy>(),
            new Dictionary<string, PolicyNames>(),
            new Dictionary<string, PolicyNames>(),
            new Dictionary<string, ComponentPolicyNames> { ["pubsub"] = new(policies, null) },
            [],
            default);
        var options = Options(app.Port, Single with { Bulk = new(true, 1, 5) });
        await using var dapr = await Sidecars.StartAsync(options with { Resources = options.Resources with { Resiliencies = [resiliency] } });
        await dapr["one"].Ready;

        foreach (var n in new[] { "1", "2", "3", "4" })
            await PublishAsync(dapr, n);

        // Each of the two is delivered again and again.
        var arrived = await ArrivedAsync(2);
        while (arrived.Count(n => n == "1") < 4 || arrived.Count(n => n == "2") < 4)
            arrived.AddRange(await ArrivedAsync(1));
        Assert.Equal(["1", "2"], arrived.Distinct().Order());
    }

    [Fact]
    public async Task What_is_published_before_the_application_has_ever_run_waits_for_it()
    {
        var port = FreePort.Next();
        await using var dapr = await Sidecars.StartAsync(Options(port, Single));
        await PublishAsync(dapr, "1");
        await PublishAsync(dapr, "2");

        await using var app = await TestApp.StartAsync(AnswerOneAsync, port);

        Assert.Equal(["1", "2"], (await ArrivedAsync(2)).Order());
    }

    [Fact]
    public async Task What_the_application_had_not_finished_when_its_sidecar_ended_comes_with_the_next_one()
    {
        var reached = new TaskCompletionSource();
        await using (var app = await TestApp.StartAsync(async context =>
        {
            if (context.Request.Path == "/orders")
            {
                reached.TrySetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            }

            context.Response.StatusCode = 404;
        }))
        {
            await using var dapr = await Sidecars.StartAsync(Options(app.Port, Single));
            await dapr["one"].Ready;
            await PublishAsync(dapr, "1");
            await reached.Task.WaitAsync(Cancellation);
        }

        await using var again = await TestApp.StartAsync(AnswerOneAsync);
        await using var next = await Sidecars.StartAsync(Options(again.Port, Single));

        Assert.Equal(["1"], await ArrivedAsync(1));
    }

    private static SubscriptionResource Bulk => Single with { Bulk = new(true, 100, 5) };

    private static SubscriptionResource Single =>
        new("orders", "pubsub", "orders", [new("", "/orders")], null, new Dictionary<string, string>(), null, [], default);

    private static async Task PublishAsync(EmbeddedDapr dapr, string n)
    {
        using var http = Sidecars.Http(dapr["one"]);
        using var content = new StringContent($$"""{"n":"{{n}}"}""", new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
        using var answer = await http.PostAsync(new Uri("/v1.0/publish/pubsub/orders", UriKind.Relative), content, Cancellation);
        Assert.Equal(System.Net.HttpStatusCode.NoContent, answer.StatusCode);
    }

    private SidecarOptions Options(int appPort, SubscriptionResource subscription, params (string Name, string Value)[] more)
    {
        var component = Sidecars.Component("pubsub", "pubsub.sqlite", [("connectionString", _folder.File("pubsub.db")), ("redeliverInterval", "50ms"), .. more]);
        return Sidecars.App("one", component) with { AppPort = appPort, Resources = new([component], [subscription], [], []) };
    }

    private async Task<List<string>> ArrivedAsync(int count)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        var arrived = new List<string>();
        while (arrived.Count < count)
            arrived.Add(await _arrived.Reader.ReadAsync(limit.Token));
        return arrived;
    }

    private async Task AnswerOneAsync(HttpContext context)
    {
        if (context.Request.Path != "/orders")
        {
            context.Response.StatusCode = 404;
            return;
        }

        var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        _arrived.Writer.TryWrite((string)body!["data"]!["n"]!);
    }

    private async Task AnswerBatchAsync(HttpContext context, Func<string, string> statusOf, TimeSpan after = default)
    {
        if (context.Request.Path != "/orders")
        {
            context.Response.StatusCode = 404;
            return;
        }

        using var body = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        var statuses = new List<object>();
        foreach (var entry in body.RootElement.GetProperty("entries").EnumerateArray())
        {
            var n = entry.GetProperty("event").GetProperty("data").GetProperty("n").GetString()!;
            statuses.Add(new { entryId = entry.GetProperty("entryId").GetString(), status = statusOf(n) });
            _arrived.Writer.TryWrite(n);
        }

        await Task.Delay(after, context.RequestAborted);
        await context.Response.WriteAsJsonAsync(new { statuses }, context.RequestAborted);
    }
}
