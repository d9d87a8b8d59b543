using System.Diagnostics;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>Waits for a condition, in short looks; a bound keeps a broken system from hanging the run.</summary>
internal static class Until
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(3);

    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan bound, Func<string> otherwise)
    {
        var waited = Stopwatch.StartNew();
        while (!await condition())
        {
            if (waited.Elapsed > bound)
            {
                Assert.Fail(otherwise());
            }

            await Task.Delay(Look, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>The first answer that satisfies the condition.</summary>
    public static async Task<T> Async<T>(Func<Task<T>> ask, Func<T, bool> condition, string what)
    {
        T last = default!;
        await TrueAsync(async () => condition(last = await ask()), Bound, () => $"Waited {Bound} for {what}; the last answer was {last}.");
        return last;
    }
}
