using System.Diagnostics;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using Polly;

namespace EmbeddedSidecar.Api.Bindings;

/// <summary>An output binding as one application sees it, under its policies.</summary>
internal sealed class OutputBindingComponent(LoadedComponent component, SidecarMetrics metrics, ResiliencePipeline? policy)
{
    public const string NoOperation = "operation field is missing from request";

    private readonly IOutputBinding _binding = (IOutputBinding)component.Instance;

    /// <summary>For this application and for good, as in daprd; other applications may have the same instance.</summary>
    private bool _isClosed;

    /// <exception cref="BindingException">With daprd's text.</exception>
    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        var begun = Stopwatch.GetTimestamp();
        var success = false;
        try
        {
            var answer = await InvokeUncountedAsync(call, cancellationToken);
            success = true;
            return answer;
        }
        finally
        {
            var operation = _binding.Operations.Contains(call.Operation) ? call.Operation : "";
            metrics.OutputBindingInvoked(component.Name, operation, success, Stopwatch.GetElapsedTime(begun));
        }
    }

    private async Task<BindingAnswer?> InvokeUncountedAsync(BindingCall call, CancellationToken cancellationToken)
    {
        if (call.Operation.Length == 0)
            throw new BindingException(NoOperation);
        if (!_binding.Operations.Contains(call.Operation))
        {
            throw new BindingException(
                $"binding {component.Name} does not support operation {call.Operation}. supported operations:{string.Join(' ', _binding.Operations)}");
        }

        var closes = call.Operation == BindingFields.Close;
        if (Volatile.Read(ref _isClosed) && !closes)
            throw new BindingException("component is closed");
        try
        {
            var answer = await policy.RunAsync(attempt => _binding.InvokeAsync(call, attempt), cancellationToken);
            if (closes)
                Volatile.Write(ref _isClosed, true);
            return answer;
        }
        catch (Exception e) when (OptionalPolicy.WhyGivenUp(e) is { } reason)
        {
            throw new BindingException(reason, e);
        }
    }
}
