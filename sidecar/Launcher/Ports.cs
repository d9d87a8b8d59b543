using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>Whether the ports of a run file are free, and who has those that are not.</summary>
internal static class Ports
{
    /// <summary>One line for each port that the launcher or an app it starts needs and that somebody else listens on.</summary>
    public static IReadOnlyList<string> FindTaken(RunFile runFile)
    {
        var listening = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Select(e => e.Port).ToHashSet();
        var taken = new List<string>();
        foreach (var app in runFile.Apps)
        {
            // An app without a command is started by somebody else: its port may well be open.
            Check(app.Command.Count > 0 ? app.AppPort : 0, "app port");
            Check(app.DaprHttpPort, "Dapr HTTP port");
            Check(app.DaprGrpcPort, "Dapr gRPC port");
            Check(app.MetricsPort, "metrics port");

            void Check(int port, string what)
            {
                if (port > 0 && listening.Contains(port))
                    taken.Add($"port {port}, the {what} of {app.AppId}, is taken by {OwnerOf(port)}");
            }
        }

        return taken;
    }

    /// <summary>One line for each Dapr port that the system gives to nobody: low ones of most users, and on Windows the ranges that it has reserved.</summary>
    public static IReadOnlyList<string> FindRefused(RunFile runFile)
    {
        var refused = new List<string>();
        foreach (var app in runFile.Apps)
        {
            Check(app.DaprHttpPort, "Dapr HTTP port");
            Check(app.DaprGrpcPort, "Dapr gRPC port");
            Check(app.MetricsPort, "metrics port");

            void Check(int port, string what)
            {
                try
                {
                    using var listener = new TcpListener(IPAddress.Loopback, port);
                    listener.Start();
                }
                catch (SocketException e)
                {
                    var hint = OperatingSystem.IsWindows() ? "; what Windows has reserved tells: netsh interface ipv4 show excludedportrange protocol=tcp" : "";
                    refused.Add($"port {port}, the {what} of {app.AppId}, is refused by the system: {e.Message}{hint}");
                }
            }
        }

        return refused;
    }

    /// <summary>For instance <c>process 4711 (redis-server)</c>; <c>another process</c> where the platform does not tell.</summary>
    public static string OwnerOf(int port)
    {
        var id = OperatingSystem.IsLinux() ? OwnerFromProc(port) : OperatingSystem.IsWindows() ? OwnerFromNetstat(port) : OwnerFromLsof(port);
        if (id is null)
            return "another process";
        try
        {
            using var process = Process.GetProcessById(id.Value);
            return $"process {id} ({process.ProcessName})";
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return $"process {id}";
        }
    }

    private static int? OwnerFromProc(int port)
    {
        // "0: 0100007F:1538 00000000:0000 0A ... inode": address:port in hexadecimal, state 0A is listening.
        var suffix = $":{port:X4}";
        var sockets = Directory.EnumerateFiles("/proc/net", "tcp*").SelectMany(File.ReadLines)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(f => f.Length > 9 && f[3] == "0A" && f[1].EndsWith(suffix, StringComparison.Ordinal))
            .Select(f => $"socket:[{f[9]}]").ToHashSet(StringComparer.Ordinal);

        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && HoldsOneOf(folder, sockets))
                return id;
        }

        return null;
    }

    private static bool HoldsOneOf(string processFolder, HashSet<string> sockets)
    {
        try
        {
            return Directory.EnumerateFiles(Path.Combine(processFolder, "fd")).Any(f => sockets.Contains(new FileInfo(f).LinkTarget ?? ""));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The lines "p4711" name the processes.</summary>
    private static int? OwnerFromLsof(int port) =>
        Tool.Run("lsof", "-nP", $"-iTCP:{port}", "-sTCP:LISTEN", "-Fp").Where(l => l.StartsWith('p')).Select(l => ParseId(l[1..])).FirstOrDefault();

    /// <summary>The lines "TCP 127.0.0.1:3501 0.0.0.0:0 LISTENING 4711" name the processes; the word differs by language, the foreign port 0 does not.</summary>
    private static int? OwnerFromNetstat(int port) =>
        Tool.Run("netstat", "-ano", "-p", "TCP").Concat(Tool.Run("netstat", "-ano", "-p", "TCPv6"))
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(f => f.Length == 5 && f[1].EndsWith($":{port}", StringComparison.Ordinal) && f[2].EndsWith(":0", StringComparison.Ordinal))
            .Select(f => ParseId(f[4])).FirstOrDefault();

    private static int? ParseId(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
}
