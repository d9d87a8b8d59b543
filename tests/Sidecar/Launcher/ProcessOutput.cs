using System.Diagnostics;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>What a launcher writes, line by line.</summary>
internal sealed class ProcessOutput
{
    private readonly List<string> _lines = [];

    public ProcessOutput(Process process)
    {
        process.OutputDataReceived += (_, e) => Add(e.Data);
        process.ErrorDataReceived += (_, e) => Add(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public bool Contains(string text)
    {
        lock (_lines)
            return _lines.Exists(l => l.Contains(text, StringComparison.Ordinal));
    }

    public override string ToString()
    {
        lock (_lines)
            return string.Join(Environment.NewLine, _lines);
    }

    private void Add(string? line)
    {
        lock (_lines)
            _lines.Add(line ?? "");
    }
}
