using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Deploy.Tests.Pods;

/// <summary>How pods come and go: under names that never come again, and at times without their sidecar.</summary>
public sealed class PodsTests : IDisposable
{
    private const int Writers = 8;
    private const string Created = nameof(HttpStatusCode.Created);
    private const string Refused = nameof(HttpStatusCode.ServiceUnavailable);
    private const string MetTheEnd = nameof(HttpRequestError.ResponseEnded);
    private const string NobodyListens = nameof(HttpRequestError.ConnectionError);

    /// <summary>From SIGTERM on: the host's ShutdownTimeout, and the end of the process.</summary>
    private static readonly TimeSpan EndsWithin = new HostOptions().ShutdownTimeout + TimeSpan.FromSeconds(15);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pods-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Given_a_pod_ends_under_load_then_requests_are_answered_or_refused_and_the_next_pod_has_and_publishes_all_that_was_acknowledged(bool sidecarFirst)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGTERM.");
        var acknowledged = new ConcurrentBag<string>();
        var others = new ConcurrentBag<(string Sku, string Outcome)>();
        await using (var dapr = await StartDaprAsync())
        {
            await using var pod = await Pod.StartAsync(dapr, "pod-1", FreePort.Next());
            using var stop = new CancellationTokenSource();
            var writing = Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => WriteAsync(pod, acknowledged, others, stop.Token)));
            await UntilAsync(() => acknowledged.Count > 20 * Writers);

            if (sidecarFirst)
                await dapr.RemoveAsync(pod.Sidecar, Cancellation);
            await pod.AskToEndAsync();
            var asked = Stopwatch.GetTimestamp();
            await pod.Ended;
            var took = Stopwatch.GetElapsedTime(asked);
            await stop.CancelAsync();
            await writing;

            TestContext.Current.TestOutputHelper?.WriteLine(
                $"ended after {took.TotalSeconds:0.0} s; {acknowledged.Count} acknowledged, otherwise {string.Join(", ", others.CountBy(o => o.Outcome).Select(o => $"{o.Value} {o.Key}"))}");
            Assert.True(took < EndsWithin, $"{took} from SIGTERM to the end");
            Assert.All(others, other => Assert.Contains(other.Outcome, new[] { Refused, NobodyListens, MetTheEnd }));
        }

        await using var later = await StartDaprAsync();
        await using var next = await Pod.StartAsync(later, "pod-2", FreePort.Next());
        Assert.All(await Task.WhenAll(acknowledged.Select(next.HasAsync)), Assert.True);
        // The connection was closed when the request came: nothing was begun of it.
        Assert.All(await Task.WhenAll(others.Where(other => other.Outcome == MetTheEnd).Select(other => next.HasAsync(other.Sku))), Assert.False);
        await using var listener = await Listener.StartAsync(later);
        await UntilAsync(() => acknowledged.All(listener.HasHeardOf));
    }

    [Fact]
    public async Task Given_pods_that_end_and_never_come_again_then_those_after_them_take_their_lanes_and_names_do_not_pile_up()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGTERM.");
        await using var dapr = await StartDaprAsync();
        var lanes = 0;
        for (var i = 1; i <= 4; i++)
        {
            await using var pod = await Pod.StartAsync(dapr, $"pod-{i}", FreePort.Next());
            Assert.Equal(Created, await pod.ListAsync($"tea-{i}"));
            lanes = await LanesAsync(pod);
            await pod.AskToEndAsync();
            await pod.Ended;
            await dapr.RemoveAsync(pod.Sidecar, Cancellation);
        }

        Assert.Equal(1, lanes);
    }

    [Fact]
    public async Task Given_pods_that_are_killed_and_never_come_again_then_their_lanes_are_adopted_and_taken_by_later_ones()
    {
        await using var dapr = await StartDaprAsync();
        await using var stays = await Pod.StartAsync(dapr, "stays", FreePort.Next());
        for (var i = 1; i <= 3; i++)
        {
            await using var pod = await Pod.StartAsync(dapr, $"killed-{i}", FreePort.Next());
            Assert.Equal(Created, await pod.ListAsync($"tea-{i}"));
            var committed = await SettledAsync(pod);
            pod.Kill();
            await pod.Ended;
            await dapr.RemoveAsync(pod.Sidecar, Cancellation);
            // When the lease has run out, the one that stays puts its fence behind what was committed, and gives the lane back.
            await UntilAsync(async () => await SettledAsync(stays) > committed);
        }

        Assert.Equal(2, await LanesAsync(stays));
    }

    private string Folder => _folder.FullName.Replace('\\', '/');

    public void Dispose() => _folder.Delete(recursive: true);

    private static async Task WriteAsync(Pod pod, ConcurrentBag<string> acknowledged, ConcurrentBag<(string Sku, string Outcome)> others, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var sku = $"sku-{Guid.NewGuid():N}";
            var answer = await pod.ListAsync(sku);
            if (answer == Created)
                acknowledged.Add(sku);
            else
                others.Add((sku, answer));
            if (answer == NobodyListens)
                return;
        }
    }

    private static async Task<int> LanesAsync(Pod pod) => (await EventLogAsync(pod)).Count;

    /// <summary>How many segments all lanes have together.</summary>
    private static async Task<long> SettledAsync(Pod pod) => (await EventLogAsync(pod)).Sum(lane => (long)lane!["settled"]!);

    private static async Task<JsonArray> EventLogAsync(Pod pod) => (JsonArray)JsonNode.Parse(await pod.Http.GetStringAsync("/event-log", Cancellation))!["lanes"]!;

    private static Task UntilAsync(Func<bool> holds) => UntilAsync(() => Task.FromResult(holds()));

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        var patience = Stopwatch.StartNew();
        while (!await holds())
        {
            Assert.True(patience.Elapsed < TimeSpan.FromMinutes(2), "Waited for two minutes.");
            await Task.Delay(50, Cancellation);
        }
    }

    /// <summary>On files, so that what starts later finds what there was.</summary>
    private Task<EmbeddedDapr> StartDaprAsync() => EmbeddedDapr.StartAsync(
        new EmbeddedDaprOptions
        {
            Apps = [],
            Resources = $$$"""
                apiVersion: dapr.io/v1alpha1
                kind: Component
                metadata: {name: statestore}
                spec: {type: state.sqlite, version: v1, metadata: [{name: connectionString, value: "{{{Folder}}}/state.db"}]}
                ---
                apiVersion: dapr.io/v1alpha1
                kind: Component
                metadata: {name: pubsub}
                spec: {type: pubsub.sqlite, version: v1, metadata: [{name: connectionString, value: "{{{Folder}}}/pubsub.db"}]}
                ---
                apiVersion: dapr.io/v2alpha1
                kind: Subscription
                metadata: {name: products}
                spec: {pubsubname: pubsub, topic: products, routes: {default: /products}}
                scopes: [listener]
                """,
        },
        Cancellation);

    /// <summary>Hears of products, of those too that were published before it came.</summary>
    private sealed class Listener : IAsyncDisposable
    {
        private readonly ConcurrentBag<string> _heard = [];
        private readonly WebApplication _app;

        private Listener(WebApplication app) => _app = app;

        public static async Task<Listener> StartAsync(EmbeddedDapr dapr)
        {
            var port = FreePort.Next();
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.Configuration["urls"] = $"http://127.0.0.1:{port}";
            var listener = new Listener(builder.Build());
            listener._app.MapPost("/products", async (HttpContext context) =>
            {
                using var body = new StreamReader(context.Request.Body);
                listener._heard.Add(await body.ReadToEndAsync(Cancellation));
            });
            await listener._app.StartAsync(Cancellation);
            await dapr.AddAsync(new SidecarOptions { AppId = "listener", AppPort = port }, Cancellation);
            return listener;
        }

        public bool HasHeardOf(string sku) => _heard.Any(message => message.Contains(sku, StringComparison.Ordinal));

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
