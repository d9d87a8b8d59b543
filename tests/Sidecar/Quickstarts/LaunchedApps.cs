using System.Diagnostics;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>A run file on the launcher, and the lines that its applications have still to write.</summary>
internal sealed class LaunchedApps : IAsyncDisposable
{
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly List<string> _missing;
    private readonly List<string> _written = [];
    private readonly List<(string Text, TaskCompletionSource Found)> _awaited = [];
    private readonly TaskCompletionSource _all = new();
    private readonly TaskCompletionSource _givenUp = new();
    private readonly Process _launcher;

    public LaunchedApps(string runFile, IEnumerable<string> expected, params (string Name, string Value)[] environment)
    {
        _missing = [.. expected];
        if (_missing.Count == 0)
            _all.SetResult();
        var start = ServerProgram.Info("dotnet", [Path.Combine(AppContext.BaseDirectory, "DaprOrders.Sidecar.dll"), "--run-file", runFile]);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        _launcher = Process.Start(start)!;
        _launcher.OutputDataReceived += (_, line) => Take(line.Data);
        _launcher.ErrorDataReceived += (_, line) => Take(line.Data);
        _launcher.BeginOutputReadLine();
        _launcher.BeginErrorReadLine();
        Ended = _launcher.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>All that was expected is written.</summary>
    public Task Written => _all.Task;

    /// <summary>An application died again and again: it writes nothing more.</summary>
    public Task GivenUp => _givenUp.Task;

    public Task Ended { get; }

    public IReadOnlyList<string> Missing
    {
        get
        {
            lock (_lock)
            {
                return [.. _missing];
            }
        }
    }

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lock)
            {
                return [.. _written];
            }
        }
    }

    /// <summary>Waits for a line, written from now on, that has this in it.</summary>
    /// <exception cref="TimeoutException">It did not come; with the last lines that did.</exception>
    public async Task NextAsync(string text, TimeSpan within, CancellationToken cancellationToken)
    {
        var found = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _awaited.Add((text, found));
        try
        {
            await found.Task.WaitAsync(within, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"not written: {text}. The last lines: {string.Join("; ", Lines.TakeLast(6))}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!Ended.IsCompleted)
        {
            if (OperatingSystem.IsWindows())
                _launcher.Kill();
            else
                ProcessTree.AskToEnd(_launcher.Id);
            await Ended.WaitAsync(EndsWithin);
        }

        _launcher.Dispose();
    }

    private void Take(string? line)
    {
        lock (_lock)
        {
            _written.Add(line ?? "");
            foreach (var (text, found) in _awaited.Where(one => line?.Contains(one.Text, StringComparison.Ordinal) == true))
                found.TrySetResult();
            _missing.RemoveAll(expected => line?.Contains(expected, StringComparison.Ordinal) == true);
            if (_missing.Count == 0)
                _all.TrySetResult();
            if (line?.Contains("giving up", StringComparison.Ordinal) == true)
                _givenUp.TrySetResult();
        }
    }
}
