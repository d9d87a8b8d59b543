using Microsoft.AspNetCore.Components;

namespace DaprOrders.Console.Shell;

/// <summary>A part of a page that asks the services as long as somebody looks at it.</summary>
public abstract class LivePart : ComponentBase, IDisposable
{
    private readonly CancellationTokenSource _left = new();

    protected LivePart() => Gone = _left.Token;

    [Inject]
    protected TimeProvider Time { get; set; } = null!;

    /// <summary>The page was left.</summary>
    protected CancellationToken Gone { get; }

    public void Dispose()
    {
        _left.Cancel();
        _left.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Looks again and again until the page is left.</summary>
    protected Task EveryAsync(TimeSpan pause, Func<Task> look) => UntilLeftAsync(async () =>
    {
        using var timer = new PeriodicTimer(pause, Time);
        while (await timer.WaitForNextTickAsync(Gone))
            await InvokeAsync(look);
    });

    /// <summary>What fails as nobody expected ends the page visibly: it would stand still, and look as if nothing happened.</summary>
    protected async Task UntilLeftAsync(Func<Task> follow)
    {
        try
        {
            await follow();
        }
        catch (OperationCanceledException) when (Gone.IsCancellationRequested)
        {
            // The page was left.
        }
        catch (Exception unexpected)
        {
            await DispatchExceptionAsync(unexpected);
        }
    }
}
