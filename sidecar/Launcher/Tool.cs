using System.ComponentModel;
using System.Diagnostics;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>Small programs of the platform that are asked one question, such as ps and lsof.</summary>
internal static class Tool
{
    /// <summary>The lines it wrote; none where the platform has no such program or it does not answer within two seconds.</summary>
    public static IReadOnlyList<string> Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var output = process.StandardOutput.ReadToEndAsync();
            if (process.WaitForExit(TimeSpan.FromSeconds(2)))
                return output.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            process.Kill();
            return [];
        }
        catch (Win32Exception)
        {
            return [];
        }
    }
}
