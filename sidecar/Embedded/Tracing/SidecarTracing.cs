using System.Diagnostics;
using System.Globalization;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace EmbeddedSidecar.Tracing;

/// <summary>
/// Makes the spans of one application's sidecar, and sends them where its Configuration says (<c>spec.tracing</c>; dapr pkg/diagnostics). A parent
/// decides whether its trace is sampled; the rate decides for a trace that begins here.
/// </summary>
internal sealed class SidecarTracing : IAsyncDisposable
{
    /// <summary>What is still to be sent at the end does not hold a stop up for longer.</summary>
    private static readonly TimeSpan LastSending = TimeSpan.FromMilliseconds(1500);

    private static int _made;

    private readonly ActivitySource _source;
    private readonly TracerProvider _provider;
    private readonly bool _tracesCallbacks;

    private SidecarTracing(TracingSettings settings, string appId, ILogger logger)
    {
        // The sidecars of a process must not see each other's spans, and a source is found by its name alone.
        _source = new ActivitySource(string.Create(CultureInfo.InvariantCulture, $"dapr-diagnostics.{appId}.{Interlocked.Increment(ref _made)}"));
        _tracesCallbacks = settings.RateOfNew != 0;
        var builder = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(ResourceBuilder.CreateEmpty().AddEnvironmentVariableDetector().AddService(appId, autoGenerateServiceInstanceId: false))
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(settings.RateOfNew)))
            .AddSource(_source.Name);
        foreach (var exporter in SpanExporters.For(settings, logger))
            builder.AddProcessor(new BatchActivityExportProcessor(exporter));
        _provider = builder.Build();
    }

    /// <summary>Null where spans would go nowhere: then none is made.</summary>
    public static SidecarTracing? For(TracingSettings settings, string appId, ILogger logger) =>
        settings.IsExported ? new(settings, appId, logger) : null;

    /// <param name="name">Of the span.</param>
    /// <param name="kind">As daprd gives it.</param>
    /// <param name="parent">A traceparent; where it cannot be read, a trace begins.</param>
    public Span Start(string name, ActivityKind kind, string? parent)
    {
        // The parent is the one that was told, not what this process happens to be at.
        var current = Activity.Current;
        Activity.Current = null;
        try
        {
            _ = ActivityContext.TryParse(parent, null, isRemote: true, out var context);
            var activity = _source.StartActivity(name, kind, context);
            return new(activity, activity is null ? TraceParent.Continue(parent) : "");
        }
        finally
        {
            Activity.Current = current;
        }
    }

    /// <summary>An event on its way to the application; null where it belongs to no trace.</summary>
    public Span? StartDelivery(string topic, string? parent) => !_tracesCallbacks || string.IsNullOrEmpty(parent) ? null :
        Start($"pubsub/{topic}", ActivityKind.Client, parent).With("messaging.system", "pubsub").With("messaging.destination.name", topic);

    /// <summary>A call of an input binding.</summary>
    /// <param name="binding">Its name.</param>
    /// <param name="target">Where the application is called.</param>
    public Span? StartInputBinding(string binding, string target) => !_tracesCallbacks ? null :
        Start($"bindings/{binding}", ActivityKind.Client, null)
            .With("db.name", binding).With("rpc.service", "Dapr").With("db.system", "bindings").With("db.connection_string", target);

    public async ValueTask DisposeAsync()
    {
        await Task.Run(() => _provider.Shutdown((int)LastSending.TotalMilliseconds));
        _provider.Dispose();
        _source.Dispose();
    }
}
