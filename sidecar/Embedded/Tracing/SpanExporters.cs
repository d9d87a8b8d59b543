using System.Diagnostics;
using EmbeddedSidecar.Resources;
using OpenTelemetry;
using OpenTelemetry.Exporter;

namespace EmbeddedSidecar.Tracing;

/// <summary>Where spans go: the log, a Zipkin server, an OpenTelemetry collector. OpenTelemetry's own exporters say nothing of a server that is away.</summary>
internal static class SpanExporters
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    public static IEnumerable<BaseExporter<Activity>> For(TracingSettings settings, ILogger logger)
    {
        if (settings.Stdout)
            yield return new Logged(logger);
        if (settings.Zipkin is { } zipkin)
            yield return new Zipkin(new() { Endpoint = zipkin }, new(zipkin, logger));
        if (settings.Otel is { } otel)
            yield return new Otlp(Options(otel), new(otel.Address, logger));
    }

    private static OtlpExporterOptions Options(OtelSettings otel)
    {
        var options = new OtlpExporterOptions
        {
            Endpoint = otel.Address,
            Protocol = otel.IsHttp ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc,
            // What the file does not say is not for OTEL_EXPORTER_OTLP_* to say, which the constructor has read; its certificates are those of a client that is not used.
            TimeoutMilliseconds = (int)Math.Clamp(Math.Ceiling((otel.Timeout ?? DefaultTimeout).TotalMilliseconds), 1, int.MaxValue),
            Headers = "",
        };
        // Its own field for headers has no way to write a comma.
        options.HttpClientFactory = () =>
        {
            var client = new HttpClient { Timeout = TimeSpan.FromMilliseconds(options.TimeoutMilliseconds) };
            foreach (var (name, value) in otel.Headers)
                client.DefaultRequestHeaders.TryAddWithoutValidation(name, value);
            return client;
        };
        return options;
    }

    /// <summary>As daprd's, one line for a span.</summary>
    private sealed class Logged(ILogger logger) : BaseExporter<Activity>
    {
        public override ExportResult Export(in Batch<Activity> batch)
        {
            foreach (var span in batch)
            {
                logger.LogInformation(
                    "[{SpanName}] Trace: {TraceId} Span: {ParentSpanId}/{SpanId} Time: [{Start:O} ->  {End:O}]",
                    span.DisplayName, span.TraceId, span.ParentSpanId, span.SpanId, span.StartTimeUtc, span.StartTimeUtc + span.Duration);
            }

            return ExportResult.Success;
        }
    }

#pragma warning disable CS0618 // OpenTelemetry gives its Zipkin exporters up, daprd's among them; as long as Dapr's Configuration has a zipkin, there is something to send to.
    private sealed class Zipkin(ZipkinExporterOptions options, Reachability reachability) : ZipkinExporter(options)
    {
        public override ExportResult Export(in Batch<Activity> batch) => reachability.Tell(base.Export(batch));
    }
#pragma warning restore CS0618

    private sealed class Otlp(OtlpExporterOptions options, Reachability reachability) : OtlpTraceExporter(options)
    {
        public override ExportResult Export(in Batch<Activity> activityBatch) => reachability.Tell(base.Export(activityBatch));
    }

    /// <summary>Tells once that spans do not arrive, and once that they do again.</summary>
    private sealed class Reachability(Uri address, ILogger logger)
    {
        private bool _isAway;

        public ExportResult Tell(ExportResult result)
        {
            var isAway = result == ExportResult.Failure;
            if (isAway && !_isAway)
                logger.LogWarning("Spans are lost: {Address} does not take them; is the server of spec.tracing there?", address);
            else if (!isAway && _isAway)
                logger.LogInformation("{Address} takes spans again", address);
            _isAway = isAway;
            return result;
        }
    }
}
