using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace DaprOrders.Bench.Measuring;

/// <summary>
/// What the processes of a system have used so far, by name: processor time, and bytes that went to the disk; and the memory they hold now. On Linux
/// a process that <c>dotnet</c> runs is named by its assembly, and the bytes are known; elsewhere all of those count as one, and there are no bytes.
/// </summary>
internal sealed partial class ProcessCosts
{
    private static readonly string EchoAssembly = typeof(ProcessCosts).Assembly.GetName().Name!;

    private readonly Dictionary<(int Id, string Name), (TimeSpan Processor, long Written, long Memory)> _costs;

    private ProcessCosts(Dictionary<(int Id, string Name), (TimeSpan Processor, long Written, long Memory)> costs) => _costs = costs;

    public IEnumerable<string> Names => _costs.Keys.Select(process => process.Name).Distinct();

    public TimeSpan Processor => new(_costs.Values.Sum(cost => cost.Processor.Ticks));

    /// <summary>0 where the system does not tell.</summary>
    public long Written => _costs.Values.Sum(cost => cost.Written);

    public static ProcessCosts Read()
    {
        var costs = new Dictionary<(int Id, string Name), (TimeSpan Processor, long Written, long Memory)>();
        foreach (var process in Process.GetProcesses())
        {
            using (process)
            {
                try
                {
                    if (Name(process) is { } name)
                        costs[(process.Id, name)] = (process.TotalProcessorTime, WrittenBy(process.Id), process.WorkingSet64);
                }
                catch (Exception exception) when (exception is InvalidOperationException or System.ComponentModel.Win32Exception or IOException or UnauthorizedAccessException)
                {
                    // It has ended, or is somebody else's.
                }
            }
        }

        return new ProcessCosts(costs);
    }

    /// <summary>
    /// Of the processes that were there then. What ended or began meanwhile is none of a system that runs all the time, but another one beside it.
    /// </summary>
    public ProcessCosts Since(ProcessCosts before) => new(_costs.Where(cost => before._costs.ContainsKey(cost.Key)).ToDictionary(
        cost => cost.Key,
        cost => (
            cost.Value.Processor - before._costs[cost.Key].Processor,
            cost.Value.Written - before._costs[cost.Key].Written,
            cost.Value.Memory)));

    public TimeSpan ProcessorOf(string name) => new(Of(name).Sum(cost => cost.Processor.Ticks));

    /// <summary>Bytes.</summary>
    public long MemoryOf(string name) => Of(name).Sum(cost => cost.Memory);

    private IEnumerable<(TimeSpan Processor, long Written, long Memory)> Of(string name) =>
        _costs.Where(cost => cost.Key.Name == name).Select(cost => cost.Value);

    private static string? Name(Process process)
    {
        if (process.Id == Environment.ProcessId)
            return "load generator";
        var name = OperatingSystem.IsLinux() && process.ProcessName == "dotnet"
            ? Assembly().Match(File.ReadAllText($"/proc/{process.Id}/cmdline")) is { Success: true } assembly ? assembly.Value : null
            : process.ProcessName;
        return name is null || !Known().IsMatch(name) ? null
            : name == EchoAssembly ? "bare echo"
            : name.Replace("DaprOrders.", "", StringComparison.Ordinal);
    }

    private static long WrittenBy(int process)
    {
        if (!OperatingSystem.IsLinux())
            return 0;
        try
        {
            var line = File.ReadLines($"/proc/{process}/io").First(line => line.StartsWith("write_bytes:", StringComparison.Ordinal));
            return long.Parse(line.AsSpan("write_bytes:".Length), CultureInfo.InvariantCulture);
        }
        catch (UnauthorizedAccessException)
        {
            // Another user's; its processor time is known all the same.
            return 0;
        }
    }

    [GeneratedRegex(@"DaprOrders\.\w+(?=\.dll)")]
    private static partial Regex Assembly();

    [GeneratedRegex("^(DaprOrders|dotnet$|daprd|redis-server|postgres|beam|nats-server|mosquitto)")]
    private static partial Regex Known();
}
