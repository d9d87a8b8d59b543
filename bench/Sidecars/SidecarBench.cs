using System.Diagnostics;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Bench.Measuring;
using Google.Protobuf;

namespace DaprOrders.Bench.Sidecars;

/// <summary>Closed loops of 64 callers, or of 4 where a call carries 64 items; values and events of 1 KiB; state and events by gRPC, calls by HTTP.</summary>
internal sealed class SidecarBench(TimeSpan warmUp, TimeSpan time, int rounds, string only, string? daprd)
{
    private const int Callers = 64;
    private const int BulkCallers = 4;
    private const int Items = 64;
    private const int Keys = 1024;
    private const int MostUnderway = 512;
    private const string Store = "statestore";
    private const string Broker = "pubsub";

    private static readonly byte[] Value = Encoding.UTF8.GetBytes($"\"{new string('x', 1022)}\"");
    private static readonly ByteString Bytes = ByteString.CopyFrom(Value);
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
        Report.Table(["component", "what", "embedded /s", "daprd /s", "embedded : daprd", "embedded µs", "daprd µs"], rows);
    }

    private static IReadOnlyList<(string What, Load Run)> StateLoads(Subject subject)
    {
        var calls = subject.Calls;
        return
        [
            ("single saves, 64 callers", new(Callers, 1, calls.Of("SaveState", Each(1).Select(Save)))),
            ("bulk saves of 64, 4 callers, items", new(BulkCallers, Items, calls.Of("SaveState", Each(Items).Select(Save)))),
            ("transactions of 2, 64 callers", new(Callers, 1, calls.Of("ExecuteStateTransaction", Each(2).Select(Transaction)))),
            ("transactions of 64, 4 callers, items", new(BulkCallers, Items, calls.Of("ExecuteStateTransaction", Each(Items).Select(Transaction)))),
            ("gets, 64 callers", new(Callers, 1, calls.Of(
                "GetState", Each(1).Select(keys => new GetStateRequest { StoreName = Store, Key = keys.Single() }), fewest: Value.Length))),
            ("bulk gets of 64, 4 callers, items", new(BulkCallers, Items, calls.Of(
                "GetBulkState", Each(Items).Select(keys => new GetBulkStateRequest { StoreName = Store, Keys = { keys }, Parallelism = 10 }), fewest: Items * Value.Length))),
        ];
    }

    private static IReadOnlyList<(string What, Load Run)> BrokerLoads(Subject subject)
    {
        Func<int, CancellationToken, Task> Publish(string topic, int events) => subject.Calls.Of("BulkPublishEvent", [new BulkPublishRequest
        {
            PubsubName = Broker,
            Topic = topic,
            Entries = { Enumerable.Range(0, events).Select(number => new BulkPublishRequestEntry { EntryId = $"{number}", Event = Bytes, ContentType = "application/json" }) },
        }]);

        return
        [
            ("publish, 64 callers", new(Callers, 1, subject.Calls.Of(
                "PublishEvent", [new PublishEventRequest { PubsubName = Broker, Topic = "unheard", Data = Bytes, DataContentType = "application/json" }]))),
            ("bulk publish of 64, 4 callers, events", new(BulkCallers, Items, Publish("unheard", Items))),
            ("published in bulk and delivered one by one, events", new(BulkCallers, Items, Publish(CalledApplication.OneByOne, Items)) { Arrived = () => subject.App.Events }),
            ("published and delivered in bulk, events", new(BulkCallers, Items, Publish(CalledApplication.InBulk, Items)) { Arrived = () => subject.App.Events }),
        ];
    }

    private static IReadOnlyList<(string What, Load Run)> CallLoads(Subject subject) =>
    [
        ("invocations, 64 callers", new(Callers, 1, (_, stop) => subject.PostAsync($"v1.0/invoke/{SidecarsUnderLoad.Callee}/method/echo", stop))),
        ("actor calls, 64 callers", new(Callers, 1, (key, stop) => subject.PostAsync($"v1.0/actors/{CalledApplication.ActorType}/{key % Callers}/method/count", stop))),
    ];

    /// <summary>All keys in their order, so many at a time.</summary>
    private static IEnumerable<string[]> Each(int count) => Enumerable.Range(0, Keys).Select(number => $"key-{number}").Chunk(count);

    private static SaveStateRequest Save(string[] keys) =>
        new() { StoreName = Store, States = { keys.Select(key => new StateItem { Key = key, Value = Bytes }) } };

    private static ExecuteStateTransactionRequest Transaction(string[] keys) => new()
    {
        StoreName = Store,
        Operations = { keys.Select(key => new TransactionalStateOperation { OperationType = "upsert", Request = new StateItem { Key = key, Value = Bytes } }) },
    };

    private bool IsChosen(string name) => only.Split(' ').All(part => name.Contains(part, StringComparison.OrdinalIgnoreCase));

    /// <summary>What is read was written, also where only reads are measured.</summary>
    private static async Task SeedAsync(Subject subject, CancellationToken cancellationToken)
    {
        var save = subject.Calls.Of("SaveState", Each(Items).Select(Save));
        for (var i = 0; i < Keys / Items; i++)
            await save(i, cancellationToken);
    }

    private async Task AddAsync(
        List<IReadOnlyList<string>> rows,
        BenchComponent store,
        BenchComponent broker,
        Func<Subject, IReadOnlyList<(string What, Load Run)>> loads,
        CancellationToken cancellationToken)
    {
        var measured = loads == StateLoads ? store : loads == BrokerLoads ? broker : null;
        var (embedded, theirs) = (new Dictionary<string, Figures>(), new Dictionary<string, Figures>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var (isDaprd, figures) in new[] { (false, embedded), (true, theirs) })
            {
                if (isDaprd && (daprd is null || !broker.IsKnownToDaprd))
                    continue;
                await using var subject = await Subject.StartAsync(isDaprd ? daprd : null, store, broker, cancellationToken);
                var chosen = loads(subject).Where(one => IsChosen($"{measured?.Type} {one.What}")).ToList();
                if (chosen.Count > 0 && loads == StateLoads)
                    await SeedAsync(subject, cancellationToken);
                foreach (var (what, load) in chosen)
                {
                    if (!figures.TryGetValue(what, out var found))
                        figures[what] = found = new Figures();
                    await load.RunAsync(warmUp, cancellationToken);
                    await found.AddAsync(subject, () => load.RunAsync(time, cancellationToken));
                    Console.Error.WriteLine($"{measured?.Type} {what}{(isDaprd ? " (daprd)" : "")}: {Report.Figure(found.Rate.Median)}/s, {Report.Figure(found.Processor.Median)} µs");
                }
            }
        }

        foreach (var (what, figures) in embedded)
        {
            var other = theirs.GetValueOrDefault(what) ?? new Figures();
            rows.Add([
                measured?.Type ?? "", what, Report.Figure(figures.Rate.Median), Report.Figure(other.Rate.Median),
                other.Rate.Count == 0 ? "–" : Report.Ratio(figures.Rate.Median, other.Rate.Median),
                Report.Figure(figures.Processor.Median), Report.Figure(other.Processor.Median)]);
        }
    }

    /// <summary>Of each round: items a second, and the sidecars' processor time for an item, in microseconds.</summary>
    private sealed record Figures
    {
        public Samples Rate { get; } = new();

        public Samples Processor { get; } = new();

        public async Task AddAsync(Subject subject, Func<Task<long>> round)
        {
            var (before, began) = (subject.Processor, Stopwatch.GetTimestamp());
            var items = await round();
            Rate.Add(items / Stopwatch.GetElapsedTime(began).TotalSeconds);
            Processor.Add((subject.Processor - before).TotalMicroseconds / items);
        }
    }

    /// <summary>One kind of call, made again and again by so many callers.</summary>
    private sealed record Load(int Callers, int ItemsPerCall, Func<int, CancellationToken, Task> Call)
    {
        /// <summary>Where what is sent arrives elsewhere: how much has. The time then ends with the last arrival.</summary>
        public Func<long>? Arrived { get; init; }

        /// <returns>How many items there were.</returns>
        public async Task<long> RunAsync(TimeSpan time, CancellationToken cancellationToken)
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
        private readonly SidecarsUnderLoad _sidecars;
        private readonly DirectoryInfo _folder;
        private readonly HttpClient _http;

        private Subject(SidecarsUnderLoad sidecars, CalledApplication app, DirectoryInfo folder)
        {
            (_sidecars, App, _folder) = (sidecars, app, folder);
            Calls = new RawCalls(sidecars.CallerGrpc);
            _http = new HttpClient { BaseAddress = new Uri(sidecars.CallerHttp) };
        }

        public RawCalls Calls { get; }

        public CalledApplication App { get; }

        public TimeSpan Processor => _sidecars.Processor;

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
            var sidecars = daprd is null
                ? await SidecarsUnderLoad.StartEmbeddedAsync(resources, app.Port, cancellationToken)
                : await SidecarsUnderLoad.StartDaprdAsync(daprd, resources, folder.FullName, app.Port, cancellationToken);
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
            Calls.Dispose();
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
                () => _http.PostAsync(new Uri($"v1.0/invoke/{SidecarsUnderLoad.Callee}/method/echo", UriKind.Relative), null, limit.Token), limit.Token);
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
