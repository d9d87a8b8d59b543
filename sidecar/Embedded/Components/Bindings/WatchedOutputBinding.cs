namespace EmbeddedSidecar.Components.Bindings;

/// <summary>A binding whose every call is shown first; what is thrown there is a failure of the binding.</summary>
internal sealed class WatchedOutputBinding(IOutputBinding binding, string component, string appId, BeforeSidecarCall before) : IOutputBinding
{
    public IReadOnlyList<string> Operations => binding.Operations;

    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        try
        {
            await before(new SidecarCall(appId, component, call.Operation, [], [call.Data]), cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new BindingException(e.Message, e);
        }

        return await binding.InvokeAsync(call, cancellationToken);
    }

    public ValueTask DisposeAsync() => binding.DisposeAsync();
}
