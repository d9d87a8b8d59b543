namespace EmbeddedSidecar.Hosting;

/// <summary>Somebody's subscription, which lasts when the component that it is at is made anew; while there is none, nothing comes by it.</summary>
internal sealed class LastingSubscription<TComponent>(Func<TComponent, CancellationToken, Task<IAsyncDisposable>> subscribe) : IAsyncDisposable
    where TComponent : class
{
    private readonly SemaphoreSlim _changing = new(1, 1);
    private TComponent? _component;
    private IAsyncDisposable? _source;
    private bool _hasEnded;

    public async Task GoOverToAsync(TComponent? component, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (_hasEnded || ReferenceEquals(component, _component))
                return;
            var before = _source;
            (_component, _source) = (component, component is null ? null : await subscribe(component, cancellationToken));
            if (before is not null)
                await before.DisposeAsync();
        }
        finally
        {
            _changing.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _changing.WaitAsync(CancellationToken.None);
        _hasEnded = true;
        _changing.Release();
        if (_source is not null)
            await _source.DisposeAsync();
    }
}
