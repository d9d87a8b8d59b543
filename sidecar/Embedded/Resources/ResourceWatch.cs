using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace EmbeddedSidecar.Resources;

/// <summary>
/// Tells when files of resources have changed: by what the file system tells, and by their times and lengths every second, since it
/// does not tell all of it everywhere. What changes within a moment is told once, when it is over.
/// </summary>
/// <param name="changed">Called one at a time. False: the files could not be taken just now, and it is called again soon.</param>
/// <param name="logger">Tells of failures.</param>
internal sealed class ResourceWatch(Func<CancellationToken, Task<bool>> changed, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(200);

    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _hint = new(0);
    private readonly ConcurrentDictionary<string, FileSystemWatcher?> _watchers = new();
    private ImmutableHashSet<string> _paths = [];
    private ImmutableDictionary<string, (DateTime Written, long Length)> _seen = ImmutableDictionary<string, (DateTime, long)>.Empty;
    private Task _watching = Task.CompletedTask;

    /// <summary>From now on, so before the files are read. Of a folder its YAML files count.</summary>
    public void Add(params IEnumerable<string> paths)
    {
        foreach (var path in paths.Select(Path.GetFullPath))
        {
            if (_paths.Contains(path))
                continue;
            _seen = _seen.SetItems(LookAt(path));
            _paths = _paths.Add(path);
            _watchers.GetOrAdd(Directory.Exists(path) ? path : Path.GetDirectoryName(path)!, Listen);
        }

        if (_watching.IsCompleted && !_paths.IsEmpty)
            _watching = WatchAsync(_stopping.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watching;
        foreach (var watcher in _watchers.Values)
            watcher?.Dispose();
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await _hint.WaitAsync(BetweenLooks, cancellationToken);
                await LookForChangesAsync(cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // Nobody watches any more.
            }
            catch (Exception e)
            {
                logger.LogError(e, "Changes of resources could not be looked for or taken, and are tried again: {Reason}", e.Message);
            }
        }
    }

    private async Task LookForChangesAsync(CancellationToken cancellationToken)
    {
        var now = Look();
        if (IsSame(now, _seen))
            return;
        for (var before = now; ; before = now)
        {
            await Task.Delay(Quiet, cancellationToken);
            now = Look();
            if (IsSame(now, before))
                break;
        }

        if (await changed(cancellationToken))
            _seen = now;
    }

    /// <summary>A file that two paths lead to may be written between the two looks at it: the later one counts.</summary>
    private ImmutableDictionary<string, (DateTime Written, long Length)> Look() =>
        ImmutableDictionary<string, (DateTime, long)>.Empty.SetItems(_paths.SelectMany(LookAt));

    private static IEnumerable<KeyValuePair<string, (DateTime Written, long Length)>> LookAt(string path)
    {
        try
        {
            IEnumerable<FileInfo> files = Directory.Exists(path) ? new DirectoryInfo(path).EnumerateFiles().Where(file => ResourceLoader.IsRead(file.Name))
                : File.Exists(path) ? [new FileInfo(path)]
                : [];
            return [.. files.Select(file => KeyValuePair.Create(file.FullName, (file.LastWriteTimeUtc, file.Length)))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone while it was looked at; the next look tells.
            return [];
        }
    }

    private static bool IsSame(
        ImmutableDictionary<string, (DateTime Written, long Length)> one, ImmutableDictionary<string, (DateTime Written, long Length)> other) =>
        one.Count == other.Count && one.All(file => other.TryGetValue(file.Key, out var stamp) && stamp == file.Value);

    /// <summary>Null where the file system has no more of them to give: the looks are enough.</summary>
    private FileSystemWatcher? Listen(string folder)
    {
        try
        {
            var watcher = new FileSystemWatcher(folder);
            watcher.Changed += (_, _) => Hint();
            watcher.Created += (_, _) => Hint();
            watcher.Deleted += (_, _) => Hint();
            watcher.Renamed += (_, _) => Hint();
            watcher.EnableRaisingEvents = true;
            return watcher;
        }
        catch (Exception e) when (e is IOException or ArgumentException or PlatformNotSupportedException)
        {
            logger.LogInformation("Changes in {Folder} are seen within a second or two: {Reason}", folder, e.Message);
            return null;
        }
    }

    private void Hint()
    {
        if (_hint.CurrentCount == 0)
            _hint.Release();
    }
}
