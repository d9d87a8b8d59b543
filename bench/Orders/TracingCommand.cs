using System.CommandLine;
using System.Globalization;
using System.Net;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>
/// What tracing costs the services: systems of this command's own, one without and one that sends all its spans to a receiver which discards them. The two of a
/// pair take turns, since what the machine gives may be another a minute later.
/// </summary>
internal static class TracingCommand
{
    private static readonly string[] Skus = LoadOptions.SkuNames();
    private static readonly TimeSpan SettleWithin = TimeSpan.FromMinutes(2);

    private static readonly Option<int> Pairs = new("--pairs") { Description = "Systems without and with tracing, in turns", DefaultValueFactory = _ => 2 };
    private static readonly Option<double> Rate = new("--rate") { Description = "Orders per second", DefaultValueFactory = _ => 60 };
    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of each load", DefaultValueFactory = _ => 25 };
    private static readonly Option<double> WarmUp = new("--warm-up") { Description = "Seconds of load after each start", DefaultValueFactory = _ => 12 };

    public static Command Create()
    {
        var command = new Command("tracing", "Starts the system without and with OTEL_EXPORTER_OTLP_ENDPOINT: processor time of the services for each order") { Pairs, Rate, Seconds, WarmUp };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var (rate, time, warmUp) = (parsed.GetValue(Rate), TimeSpan.FromSeconds(parsed.GetValue(Seconds)), TimeSpan.FromSeconds(parsed.GetValue(WarmUp)));
            await using var receiver = await Receiver.StartAsync(cancellationToken);
            Report.Machine();
            var pairs = new List<(Measured Without, Measured With)>();
            for (var pair = 0; pair < parsed.GetValue(Pairs); pair++)
                pairs.Add((await MeasureAsync(null), await MeasureAsync(receiver)));
            Show(pairs);
            return pairs.TrueForAll(pair => pair.Without.Run.IsAtRest && pair.With.Run.IsAtRest) ? 0 : 1;

            Task<Measured> MeasureAsync(Receiver? to) => TracingCommand.MeasureAsync(to, rate, time, warmUp, cancellationToken);
        });
        return command;
    }

    private static async Task<Measured> MeasureAsync(Receiver? receiver, double rate, TimeSpan time, TimeSpan warmUp, CancellationToken cancellationToken)
    {
        var settings = receiver is null ? [] : new Dictionary<string, string>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Address,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            // All spans are to be paid for: what does not fit in the queue is dropped, and what waits for its turn at the end is not in the figures.
            ["OTEL_BSP_MAX_QUEUE_SIZE"] = "65536",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "1000",
        };
        using var folder = new TemporaryFolder();
        await using var started = await StartedSystem.StartAsync(folder.Path, "local", app => app == "console" ? 0 : 1, settings, cancellationToken);
        using var system = OrdersSystem.At(started);
        using var load = new LoadGenerator(LoadOptions.Callers, Skus);
        var flow = new Flow(system, load, SettleWithin);
        await system.OfferAsync(Skus, cancellationToken);
        await flow.RunAsync(warmUp, rate, open: 0, cancellationToken);
        var (before, received) = (await ProcessorAsync(), receiver?.Bytes ?? 0);
        var run = await flow.RunAsync(time, rate, open: 0, cancellationToken);
        var after = await ProcessorAsync();
        return new(run, [.. after.Zip(before, (now, then) => (now - then) * 1000 / run.Ended)], ((receiver?.Bytes ?? 0) - received) / 1024.0 / run.Ended);

        // The services' own word: whatever else runs on the machine is not in it.
        Task<double[]> ProcessorAsync() => Task.WhenAll(OrdersSystem.Apps.Select(app => started.CounterAsync(app, "dotnet_process_cpu_time_seconds_total", cancellationToken)));
    }

    private static void Show(List<(Measured Without, Measured With)> pairs)
    {
        Report.Line(string.Create(CultureInfo.InvariantCulture, $"{pairs[0].With.Run.Offered} orders a second. Processor time of the services for each order, ms; spans that the receiver got, KB an order."));
        Report.Table(
            ["pair", "tracing", "all", ": without", .. OrdersSystem.Apps, "KB"],
            pairs.SelectMany((pair, number) => new[] { Row(number, "without", pair.Without, pair.Without), Row(number, "with", pair.With, pair.Without) }));
        Report.Line(string.Create(CultureInfo.InvariantCulture, $"With to without, over all pairs: {pairs.Sum(pair => pair.With.All) / pairs.Sum(pair => pair.Without.All):0.00} x"));
    }

    private static string[] Row(int pair, string what, Measured measured, Measured without) =>
    [
        $"{pair + 1}",
        measured.Run.IsAtRest ? what : $"{what} (not all ended)",
        Report.Figure(measured.All),
        Report.Ratio(measured.All, without.All),
        .. measured.Milliseconds.Select(Report.Figure),
        Report.Figure(measured.Kilobytes),
    ];

    /// <param name="Milliseconds">Of processor time for each order, service by service.</param>
    /// <param name="Kilobytes">Of what was exported, for each order.</param>
    private sealed record Measured(FlowRun Run, double[] Milliseconds, double Kilobytes)
    {
        public double All => Milliseconds.Sum();
    }

    /// <summary>Takes what is exported, and reads it to its end.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private long _bytes;

        private Receiver()
        {
            var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            _app = builder.Build();
            _app.MapPost("/v1/{signal}", async context =>
            {
                var buffer = new byte[64 * 1024];
                for (int read; (read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0;)
                    Interlocked.Add(ref _bytes, read);
            });
        }

        public string Address => _app.Urls.First();

        public long Bytes => Interlocked.Read(ref _bytes);

        public static async Task<Receiver> StartAsync(CancellationToken cancellationToken)
        {
            var receiver = new Receiver();
            await receiver._app.StartAsync(cancellationToken);
            return receiver;
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
