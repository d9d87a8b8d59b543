using System.Diagnostics;
using System.Text;
using Dapr.Client;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Sidecars;

/// <summary>Closed loops of 64 callers, or of 4 where a call carries 64 items; values and events of 1 KiB; state and events by gRPC, calls by HTTP.</summary>
internal sealed class SidecarBench(TimeSpan time, int rounds, string only, string? daprd)
{
    private const int Callers = 64;
    private const int BulkCallers = 4;
    private const int Items = 64;
    private const int Keys = 1024;
    private const int MostUnderway = 512;
    private const string Store = "statestore";
    private const string Broker = "pubsub";

    private static readonly string Text = new('x', 1022);
    private static readonly byte[] Value = Encoding.UTF8.GetBytes($"\"{Text}\"");
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(60);

    public async Task MeasureAsync(IReadOnlyList<BenchComponent> stores, IReadOnlyList<BenchComponent> brokers, CancellationToken cancellationToken)
    {
        Report.Line(daprd is null
            ? "The embedded sidecar, each figure a second. DAPR_RUNTIME names no folder with a daprd to compare with."
            : "The embedded sidecar and daprd in turns, each figure a second.");
        var rows = new List<IReadOnlyList<string>>();
        foreach (var store in stores)
            await AddAsync(rows, store, BenchComponent.InMemoryPubSub, StateLoads, cancellationToken);
        foreach (var broker in brokers)
            await AddAsync(rows, BenchComponent.InMemoryState, broker, BrokerLoads, cancellationToken);
        await AddAsync(rows, BenchComponent.InMemoryState, BenchComponent.InMemoryPubSub, CallLoads, cancellationToken);
        Report.Table(["component", "what", "embedded /s", "daprd /s", "embedded : daprd"], rows);
    }

    private static IReadOnlyList<(string What, Load Run)> StateLoads(Subject subject)
    {
        var dapr = subject.Dapr;
        return
        [
            ("single saves, 64 callers", new(Callers, 1, (key, stop) => dapr.SaveByteStateAsync(Store, Key(key), Value, cancellationToken: stop))),
            ("bulk saves of 64, 4 callers, items", new(BulkCallers, Items, (key, stop) => dapr.SaveBulkStateAsync(
                Store, [.. KeysFrom(key).Select(k => new SaveStateItem<string>(k, Text, null!))], stop))),
            ("transactions of 2, 64 callers", new(Callers, 1, (key, stop) => dapr.ExecuteStateTransactionAsync(Store, Operations(key, 2), cancellationToken: stop))),
            ("transactions of 64, 4 callers, items", new(BulkCallers, Items, (key, stop) => dapr.ExecuteStateTransactionAsync(Store, Operations(key, Items), cancellationToken: stop))),
            ("gets, 64 callers", new(Callers, 1, (key, stop) => dapr.GetByteStateAsync(Store, Key(key), cancellationToken: stop))),
            ("bulk gets of 64, 4 callers, items", new(BulkCallers, Items, (key, stop) => dapr.GetBulkStateAsync(Store, [.. KeysFrom(key)], parallelism: 10, cancellationToken: stop))),
        ];
    }

    private static IReadOnlyList<(string What, Load Run)> BrokerLoads(Subject subject)
    {
        var dapr = subject.Dapr;
        return
        [
            ("publish, 64 callers", new(Callers, 1, (_, stop) => dapr.PublishByteEventAsync(Broker, "unheard", Value, "application/json", cancellationToken: stop))),
            ("bulk publish of 64, 4 callers, events", new(BulkCallers, Items, (_, stop) => dapr.BulkPublishEventAsync(Broker, "unheard", Events, cancellationToken: stop))),
            ("published in bulk and delivered one by one, events", new(BulkCallers, Items, (_, stop) => dapr.BulkPublishEventAsync(Broker, CalledApplication.OneByOne, Events, cancellationToken: stop))
            {
                Arrived = () => subject.App.Events,
            }),
            ("published and delivered in bulk, events", new(BulkCallers, Items, (_, stop) => dapr.BulkPublishEventAsync(Broker, CalledApplication.InBulk, Events, cancellationToken: stop))
            {
                Arrived = () => subject.App.Events,
            }),
        ];
    }

    private static IReadOnlyList<(string What, Load Run)> CallLoads(Subject subject) =>
    [
        ("invocations, 64 callers", new(Callers, 1, (_, stop) => subject.PostAsync($"v1.0/invoke/{ISidecarsUnderLoad.Callee}/method/echo", stop))),
        ("actor calls, 64 callers", new(Callers, 1, (key, stop) => subject.PostAsync($"v1.0/actors/{CalledApplication.ActorType}/{key % Callers}/method/count", stop))),
    ];

    private static IReadOnlyList<string> Events { get; } = [.. Enumerable.Repeat(Text, Items)];

    private static string Key(int number) => $"key-{number % Keys}";

    private static IEnumerable<string> KeysFrom(int number) => Enumerable.Range(number * Items, Items).Select(Key);

    private static IReadOnlyList<StateTransactionRequest> Operations(int number, int count) =>
        [.. Enumerable.Range(number * count, count).Select(key => new StateTransactionRequest(Key(key), Value, StateOperationType.Upsert))];

    private async Task AddAsync(
        List<IReadOnlyList<string>> rows,
        BenchComponent store,
        BenchComponent broker,
        Func<Subject, IReadOnlyList<(string What, Load Run)>> loads,
        CancellationToken cancellationToken)
    {
        var measured = loads == StateLoads ? store : loads == BrokerLoads ? broker : null;
        var (embedded, theirs) = (new Dictionary<string, Samples>(), new Dictionary<string, Samples>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var (isDaprd, figures) in new[] { (false, embedded), (true, theirs) })
            {
                if (isDaprd && (daprd is null || !broker.IsKnownToDaprd))
                    continue;
                await using var subject = await Subject.StartAsync(isDaprd ? daprd : null, store, broker, cancellationToken);
                foreach (var (what, load) in loads(subject).Where(one => one.What.Contains(only, StringComparison.OrdinalIgnoreCase)))
                {
                    if (!figures.TryGetValue(what, out var samples))
                        figures[what] = samples = new Samples();
                    samples.Add(await load.RateAsync(time, cancellationToken));
                    Console.Error.WriteLine($"{measured?.Type} {what}{(isDaprd ? " (daprd)" : "")}: {Report.Figure(samples.Median)}/s");
                }
            }
        }

        foreach (var (what, samples) in embedded)
        {
            var other = theirs.TryGetValue(what, out var found) ? found.Median : double.NaN;
            rows.Add([measured?.Type ?? "", what, Report.Figure(samples.Median), Report.Figure(other), double.IsNaN(other) ? "–" : Report.Ratio(samples.Median, other)]);
        }
    }

    /// <summary>One kind of call, made again and again by so many callers.</summary>
    private sealed record Load(int Callers, int ItemsPerCall, Func<int, CancellationToken, Task> Call)
    {
        /// <summary>Where what is sent arrives elsewhere: how much has. The time then ends with the last arrival.</summary>
        public Func<long>? Arrived { get; init; }

        /// <summary>Items a second; a fifth of the time before it warms up.</summary>
        public async Task<double> RateAsync(TimeSpan time, CancellationToken cancellationToken)
        {
            await RunAsync(time / 5, cancellationToken);
            var before = Stopwatch.GetTimestamp();
            var items = await RunAsync(time, cancellationToken);
            return items / Stopwatch.GetElapsedTime(before).TotalSeconds;
        }

        private async Task<long> RunAsync(TimeSpan time, CancellationToken cancellationToken)
        {
            var began = Stopwatch.GetTimestamp();
            var arrivedBefore = Arrived?.Invoke() ?? 0;
            var (calls, next) = (0L, 0);
            await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(
                async () =>
                {
                    while (Stopwatch.GetElapsedTime(began) < time)
                    {
                        // A closed loop also where what was sent arrives elsewhere.
                        if (Arrived is not null && (Interlocked.Read(ref calls) * ItemsPerCall) - (Arrived() - arrivedBefore) > MostUnderway)
                        {
                            await Task.Delay(1, cancellationToken);
                            continue;
                        }

                        await Call(Interlocked.Increment(ref next), cancellationToken);
                        Interlocked.Increment(ref calls);
                    }
                },
                cancellationToken)));
            if (Arrived is null)
                return calls * ItemsPerCall;

            using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
            while (Arrived() - arrivedBefore < calls * ItemsPerCall)
                await poll.WaitForNextTickAsync(cancellationToken);
            return calls * ItemsPerCall;
        }
    }

    /// <summary>Sidecars with their application and the clients that call them.</summary>
    private sealed class Subject : IAsyncDisposable
    {
        private readonly ISidecarsUnderLoad _sidecars;
        private readonly DirectoryInfo _folder;
        private readonly HttpClient _http;

        private Subject(ISidecarsUnderLoad sidecars, CalledApplication app, DirectoryInfo folder)
        {
            (_sidecars, App, _folder) = (sidecars, app, folder);
            Dapr = new DaprClientBuilder().UseHttpEndpoint(sidecars.CallerHttp).UseGrpcEndpoint(sidecars.CallerGrpc).Build();
            _http = new HttpClient { BaseAddress = new Uri(sidecars.CallerHttp) };
        }

        public DaprClient Dapr { get; }

        public CalledApplication App { get; }

        public static async Task<Subject> StartAsync(string? daprd, BenchComponent store, BenchComponent broker, CancellationToken cancellationToken)
        {
            var folder = Directory.CreateTempSubdirectory("daprorders-bench-");
            var resources = folder.CreateSubdirectory("resources").FullName;
            foreach (var component in new[] { store, broker })
            {
                await File.WriteAllTextAsync(
                    Path.Combine(resources, $"{component.Type}.yaml"),
                    component.Yaml.Replace("{folder}", folder.FullName.Replace('\\', '/'), StringComparison.Ordinal),
                    cancellationToken);
            }

            var app = await CalledApplication.StartAsync(cancellationToken);
            ISidecarsUnderLoad sidecars = daprd is null
                ? await EmbeddedUnderLoad.StartAsync(resources, app.Port, cancellationToken)
                : await DaprdUnderLoad.StartAsync(daprd, resources, folder.FullName, app.Port, cancellationToken);
            var subject = new Subject(sidecars, app, folder);
            try
            {
                await subject.WaitUntilReadyAsync(cancellationToken);
                return subject;
            }
            catch
            {
                await subject.DisposeAsync();
                throw;
            }
        }

        public async Task PostAsync(string path, CancellationToken cancellationToken)
        {
            using var content = new ByteArrayContent(Value);
            using var answer = await _http.PostAsync(new Uri(path, UriKind.Relative), content, cancellationToken);
            answer.EnsureSuccessStatusCode();
            await answer.Content.CopyToAsync(Stream.Null, cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            Dapr.Dispose();
            _http.Dispose();
            await _sidecars.DisposeAsync();
            await App.DisposeAsync();
            _folder.Delete(recursive: true);
        }

        /// <summary>The one knows its application, and the other finds it and its actors.</summary>
        private async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(ReadyWithin);
            await UntilAsync(() => _http.GetAsync(new Uri($"{_sidecars.CalleeHttp}/v1.0/healthz"), limit.Token), limit.Token);
            await UntilAsync(
                () => _http.PostAsync(new Uri($"v1.0/invoke/{ISidecarsUnderLoad.Callee}/method/echo", UriKind.Relative), null, limit.Token), limit.Token);
            await UntilAsync(
                () => _http.PostAsync(new Uri($"v1.0/actors/{CalledApplication.ActorType}/0/method/count", UriKind.Relative), null, limit.Token), limit.Token);
        }

        private static async Task UntilAsync(Func<Task<HttpResponseMessage>> ask, CancellationToken cancellationToken)
        {
            using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            while (true)
            {
                try
                {
                    using var answer = await ask();
                    if (answer.IsSuccessStatusCode)
                        return;
                }
                catch (HttpRequestException)
                {
                    // Not up yet.
                }

                await poll.WaitForNextTickAsync(cancellationToken);
            }
        }
    }
}
