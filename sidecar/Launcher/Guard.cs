using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// A small second process that ends the apps when this one is killed and can no longer do so. It is told on its standard input who lives
/// ("+ id ticks", "- id") and acts when that pipe breaks; no app need know of it, and it is the same on every platform.
/// </summary>
internal sealed class Guard : IDisposable
{
    /// <summary>The argument that makes this program a guard.</summary>
    public const string Argument = "guard";

    private const string Farewell = "done";

    private readonly Process _process;
    private readonly Lock _writing = new();

    private Guard(Process process) => _process = process;

    public ProcessMark Mark => ProcessMark.Of(_process);

    public static Guard Start()
    {
        var start = Again();
        start.RedirectStandardInput = true;
        // It must start fast and stay small.
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment["DOTNET_gcServer"] = "0";
        if (OperatingSystem.IsWindows())
            start.CreateNewProcessGroup = true;
        return new Guard(Process.Start(start)!);
    }

    public void Watch(ProcessMark process) => Tell($"+ {process.Id} {process.StartedUtc.Ticks}");

    public void Forget(ProcessMark process) => Tell($"- {process.Id}");

    /// <summary>Lets the guard go: everything has ended in order.</summary>
    public void Dispose()
    {
        Tell(Farewell);
        _process.Dispose();
    }

    /// <summary>The guard's own main: reads until it is dismissed or the pipe breaks.</summary>
    public static int Run(TextReader input)
    {
        // Ctrl-C in a terminal reaches it as well; the launcher decides what happens then.
        using var interrupt = Ignore(PosixSignal.SIGINT);
        using var quit = Ignore(PosixSignal.SIGQUIT);
        using var hangup = Ignore(PosixSignal.SIGHUP);
        using var terminate = Ignore(PosixSignal.SIGTERM);

        var living = new Dictionary<int, ProcessMark>();
        while (input.ReadLine() is { } line)
        {
            switch (line.Split(' '))
            {
                case [Farewell]:
                    return 0;
                case ["+", var id, var ticks]:
                    var mark = new ProcessMark(Number(id), new DateTime(long.Parse(ticks, CultureInfo.InvariantCulture), DateTimeKind.Utc));
                    living[mark.Id] = mark;
                    break;
                case ["-", var id]:
                    living.Remove(Number(id));
                    break;
            }
        }

        foreach (var process in living.Values)
            process.Kill();
        return 0;
    }

    /// <summary>This program once more: by its own executable, which is all there is of one published as a single file, else by dotnet.</summary>
    private static ProcessStartInfo Again() =>
        Environment.ProcessPath is { } self && Assembly.GetEntryAssembly() == typeof(Guard).Assembly && !DotnetHost.Is(self)
            ? new ProcessStartInfo(self, [Argument])
            : new ProcessStartInfo(DotnetHost.Path, ["exec", Path.Combine(AppContext.BaseDirectory, $"{typeof(Guard).Assembly.GetName().Name}.dll"), Argument]);

    private static PosixSignalRegistration Ignore(PosixSignal signal) => PosixSignalRegistration.Create(signal, context => context.Cancel = true);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private void Tell(string line)
    {
        lock (_writing)
        {
            if (_process.HasExited)
                return;
            try
            {
                _process.StandardInput.WriteLine(line);
                _process.StandardInput.Flush();
            }
            catch (IOException)
            {
                // Somebody ended the guard: the next start finds what it would have ended by the record of processes.
            }
        }
    }
}
