using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Resiliency;
using Polly;

namespace EmbeddedSidecar.Api.Bindings;

/// <summary>An output binding as one application sees it, under its policies.</summary>
internal sealed class OutputBindingComponent(LoadedComponent component, ResiliencePipeline? policy)
{
    private readonly IOutputBinding _binding = (IOutputBinding)component.Instance;

    /// <exception cref="BindingException">With daprd's text.</exception>
    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        if (call.Operation.Length == 0)
            throw new BindingException("operation field is missing from request");
        if (!_binding.Operations.Contains(call.Operation))
        {
            throw new BindingException(
                $"binding {component.Name} does not support operation {call.Operation}. supported operations:{string.Join(' ', _binding.Operations)}");
        }

        try
        {
            return await policy.RunAsync(attempt => _binding.InvokeAsync(call, attempt), cancellationToken);
        }
        catch (Exception e) when (OptionalPolicy.WhyGivenUp(e) is { } reason)
        {
            throw new BindingException(reason, e);
        }
    }
}
