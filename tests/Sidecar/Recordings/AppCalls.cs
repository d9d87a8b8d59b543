using System.Diagnostics;
using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The calls that the apps of one play got, in the order of their arrival.</summary>
public sealed class AppCalls
{
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(3);

    /// <summary>What a busy machine may take longer than daprd's.</summary>
    private static readonly TimeSpan Busy = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly List<Call> _calls = [];
    private readonly List<Call> _unsettled = [];
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>Writes a call down; the returned action says what it was answered: a status, -1 when the caller hung up, null when it gets no answer.</summary>
    public Action<JsonNode?> Arrived(string app, string call, JsonObject? headers, JsonNode? body)
    {
        var arrived = new Call(app, call, headers, body, _clock.ElapsedMilliseconds);
        lock (_lock)
        {
            _calls.Add(arrived);
            Signal();
        }
        return status =>
        {
            lock (_lock)
            {
                arrived.Settle(status);
                Signal();
            }
        };
    }

    /// <summary>
    /// Waits for <paramref name="count"/> calls, at most <paramref name="within"/> (for the whole of it when the count is 0), then
    /// <paramref name="quiet"/> more for calls that should not come, and takes down what came since the last time.
    /// </summary>
    /// <param name="recorded">So many are waited for much longer: with daprd the wait may have begun later, and a machine may be busy.</param>
    /// <param name="settle">False: what is still being handled is not waited for, and gets its answer written down when it comes.</param>
    public async Task<JsonArray> TakeAsync(int count, TimeSpan within, TimeSpan quiet, CancellationToken cancel, int recorded = 0, bool settle = true)
    {
        await WaitAsync(calls => count > 0 && calls.Count >= count, within, cancel);
        await WaitAsync(calls => calls.Count >= recorded, within + Busy, cancel);
        await WaitAsync(_ => false, quiet, cancel);
        // What is being handled is answered or hung up on within its delay; a recording tells which.
        if (settle)
            await WaitAsync(calls => calls.All(call => call.IsSettled), LongestDelay, cancel);
        lock (_lock)
        {
            _unsettled.AddRange(_calls.Where(call => !call.IsSettled));
            JsonArray taken = [.. _calls.Select(call => call.Recorded())];
            _calls.Clear();
            return taken;
        }
    }

    /// <summary>Until the calls that were taken down unanswered have their answers.</summary>
    public Task SettleAsync(CancellationToken cancel) => WaitAsync(_ => _unsettled.All(call => call.IsSettled), LongestDelay, cancel);

    private async Task WaitAsync(Func<List<Call>, bool> met, TimeSpan atMost, CancellationToken cancel)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        end.CancelAfter(atMost);
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (met(_calls))
                    return;
                changed = _changed.Task;
            }
            try
            {
                await changed.WaitAsync(end.Token);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void Signal()
    {
        _changed.SetResult();
        _changed = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed record Call(string App, string VerbAndPath, JsonObject? Headers, JsonNode? Body, long AtMs)
    {
        private JsonObject? _recorded;

        public JsonNode? Answered { get; private set; }

        public bool IsSettled { get; private set; }

        public void Settle(JsonNode? status)
        {
            (Answered, IsSettled) = (status, true);
            if (_recorded is not null && status is not null)
                _recorded["answered"] = status.DeepClone();
        }

        public JsonObject Recorded()
        {
            var recorded = _recorded = new JsonObject { ["app"] = App, ["atMs"] = AtMs, ["call"] = VerbAndPath };
            if (Headers is not null)
                recorded["headers"] = Headers;
            if (Body is not null)
                recorded["body"] = Body;
            if (Answered is not null)
                recorded["answered"] = Answered.DeepClone();
            return recorded;
        }
    }
}
