using System.Globalization;
using System.Text;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// A log on disk, line by line. A disk that is full loses lines and never the one who writes them: the apps, whose output would stand still, and
/// the sidecars, which would end by it. How many were lost is told once there is space.
/// </summary>
internal sealed class LogFile : IDisposable
{
    private readonly Stream _file;
    private long _lost;

    public LogFile(string path)
        // Without a buffer, so that what could not be written is not kept and tried again with every line.
        : this(path, new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0))
    {
    }

    internal LogFile(string path, Stream file) => (Path, _file) = (path, file);

    /// <summary>{appDirPath}/.dapr/logs/{appID}_{what}_{time}.log, as the Dapr CLI names them.</summary>
    /// <exception cref="LaunchException">It cannot be made.</exception>
    public static LogFile Of(RunApp app, string what, TimeProvider time)
    {
        var now = time.GetLocalNow().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
        var path = System.IO.Path.Combine(app.AppDirPath, ".dapr", "logs", $"{app.AppId}_{what}_{now}.log");
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
            return new LogFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LaunchException($"{app.Location}: a log of {app.AppId} cannot be written to {path}: {e.Message} Mend that, or have it on the console (appLogDestination, daprdLogDestination).", e);
        }
    }

    public string Path { get; }

    public void WriteLine(string line)
    {
        try
        {
            var told = _lost == 0 ? "" : $"({_lost} lines could not be written here){Environment.NewLine}";
            _file.Write(Encoding.UTF8.GetBytes($"{told}{line}{Environment.NewLine}"));
            _lost = 0;
        }
        catch (IOException)
        {
            _lost++;
        }
        catch (ObjectDisposedException)
        {
            // Somebody has still something to say after the end.
        }
    }

    public void Dispose() => _file.Dispose();
}
