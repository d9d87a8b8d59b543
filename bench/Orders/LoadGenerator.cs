using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <param name="Due">When it was to be sent.</param>
internal sealed record Placed(string Path, DateTimeOffset Due);

/// <summary>What a round of load came to. Latency in ms, of the accepted orders; from when a request was due, where there is a rate.</summary>
internal sealed record LoadRound(long Accepted, IReadOnlyDictionary<int, long> Others, TimeSpan Took, Samples Latency, IReadOnlyList<Placed> Sample)
{
    public double PerSecond => Accepted / Took.TotalSeconds;
}

/// <summary>
/// <c>POST /orders</c> over as many connections as there are callers. Each sends its next order when the last one is answered, or, with a
/// rate, when it is due.
/// </summary>
internal sealed class LoadGenerator : IDisposable
{
    private const int Bodies = 5_000;
    private const int SampleEvery = 20;

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly int _connections;
    private readonly byte[][] _bodies;
    private readonly HttpMessageInvoker _http;

    public LoadGenerator(int connections, IReadOnlyList<string> skus)
    {
        _connections = connections;
        _bodies = [.. Enumerable.Range(0, Bodies).Select(i => Encoding.UTF8.GetBytes(
            $$"""{"customerId":"c-{{i}}","paymentMethod":"pm_card_ok","lines":[{"sku":"{{skus[i % skus.Count]}}","quantity":1}]}"""))];
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            MaxConnectionsPerServer = connections,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
        });
    }

    /// <param name="rate">Orders per second; null: as many as are answered.</param>
    public Task<LoadRound> RunAsync(Uri address, TimeSpan time, double? rate, CancellationToken cancellationToken) => RunAsync([address], time, rate, cancellationToken);

    /// <param name="replicas">Callers are shared out among them, as a Service of Kubernetes does with connections.</param>
    public async Task<LoadRound> RunAsync(IReadOnlyList<Uri> replicas, TimeSpan time, double? rate, CancellationToken cancellationToken)
    {
        var (started, clock) = (DateTimeOffset.UtcNow, Stopwatch.StartNew());
        var schedule = new Schedule(rate);
        var callers = await Task.WhenAll(Enumerable.Range(0, _connections).Select(
            caller => Task.Run(() => CallAsync(new Uri(replicas[caller % replicas.Count], "orders"), time, schedule, started, clock, cancellationToken), cancellationToken)));
        var took = clock.Elapsed;
        var latency = new Samples();
        foreach (var caller in callers)
            latency.Add(caller.Latency);
        var others = callers.SelectMany(caller => caller.Others).GroupBy(other => other.Key).ToDictionary(g => g.Key, g => g.Sum(other => other.Value));
        return new LoadRound(callers.Sum(caller => caller.Accepted), others, took, latency, [.. callers.SelectMany(caller => caller.Sample)]);
    }

    public void Dispose() => _http.Dispose();

    private async Task<Caller> CallAsync(Uri orders, TimeSpan time, Schedule schedule, DateTimeOffset started, Stopwatch clock, CancellationToken cancellationToken)
    {
        var caller = new Caller();
        while (true)
        {
            var (number, due) = schedule.Next(clock.Elapsed);
            if (due >= time)
                return caller;
            if (due > clock.Elapsed)
                await Task.Delay(due - clock.Elapsed, cancellationToken);

            using var request = new HttpRequestMessage(HttpMethod.Post, orders) { Content = new ByteArrayContent(_bodies[number % Bodies]) };
            request.Content.Headers.ContentType = Json;
            using var answer = await _http.SendAsync(request, cancellationToken);
            await answer.Content.CopyToAsync(Stream.Null, cancellationToken);
            if (answer.StatusCode != HttpStatusCode.Created)
            {
                caller.Others[(int)answer.StatusCode] = caller.Others.GetValueOrDefault((int)answer.StatusCode) + 1;
                // At a rate the order is not sent again: the next one is due.
                if (schedule.IsClosed && answer.Headers.RetryAfter?.Delta is { } pause)
                    await Task.Delay(pause, cancellationToken);
                continue;
            }

            caller.Latency.Add((clock.Elapsed - due).TotalMilliseconds);
            caller.Accepted++;
            if (schedule.IsSampled(number))
                caller.Sample.Add(new Placed(answer.Headers.Location!.OriginalString, started + due));
        }
    }

    /// <summary>Deals out the orders, one number each.</summary>
    private sealed class Schedule(double? rate)
    {
        private long _next = -1;

        /// <summary>Every 20th; where they come slowly, every one.</summary>
        public bool IsSampled(long number) => rate < SampleEvery || number % SampleEvery == 0;

        /// <summary>A caller's next order waits for the answer to its last.</summary>
        public bool IsClosed => rate is null;

        public (long Number, TimeSpan Due) Next(TimeSpan now)
        {
            var number = Interlocked.Increment(ref _next);
            return (number, rate is { } perSecond ? TimeSpan.FromSeconds(number / perSecond) : now);
        }
    }

    private sealed class Caller
    {
        public long Accepted { get; set; }

        public Dictionary<int, long> Others { get; } = [];

        public Samples Latency { get; } = new();

        public List<Placed> Sample { get; } = [];
    }
}
