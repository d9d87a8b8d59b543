using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using DaprOrders.Deploy.Tests.Kustomize;

namespace DaprOrders.Deploy.Tests;

/// <summary>deploy/k8s/secrets.sh, run as docs/deploy.md says. Skips the test where there is no bash or no openssl.</summary>
internal static class SecretsScript
{
    private static readonly ConcurrentDictionary<string, string> Printed = new(StringComparer.Ordinal);

    /// <summary>What the script needs to be told of servers, for any overlay.</summary>
    public static Dictionary<string, string> Servers { get; } = new(StringComparer.Ordinal)
    {
        ["REDIS_PASSWORD"] = "p\"a: ss",
        ["RABBITMQ_CONNECTION"] = "amqp://user:pass@rabbitmq.data.svc.cluster.local:5672/",
        ["POSTGRESQL_CONNECTION"] = "host=postgresql.data.svc.cluster.local user=daprorders password=x dbname=daprorders connect_timeout=5",
        ["KAFKA_USERNAME"] = "daprorders",
        ["KAFKA_PASSWORD"] = "x",
        ["KAFKA_CA"] = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
        ["NATS_URL"] = "nats://user:pass@nats.data.svc.cluster.local:4222",
    };

    /// <summary>The secrets of the services' namespace for an overlay, by name and key.</summary>
    public static List<(string Name, string Key)> KeysFor(string overlay) =>
        [.. SecretsIn(Printed.GetOrAdd(overlay, o => Run(ArgumentFor(o), Servers).Output), "daprorders").Select(secret => (secret.Name, secret.Key))];

    public static IEnumerable<(string Name, string Key, byte[] Value)> SecretsIn(string printed, string space) =>
        YamlNodes.Parse(printed, "secrets.sh")
            .Where(o => Overlay.Text(o["kind"]) == "Secret" && Overlay.Text(o["metadata"]!["namespace"]) == space)
            .SelectMany(o => o["data"]!.AsObject().Select(entry => (Overlay.Text(o["metadata"]!["name"]), entry.Key, Convert.FromBase64String(Overlay.Text(entry.Value)))));

    /// <summary>KEDA changes no secret.</summary>
    public static string ArgumentFor(string overlay) => overlay.Replace("-keda", "", StringComparison.Ordinal);

    public static (int ExitCode, string Output, string Error) Run(string argument, Dictionary<string, string> environment)
    {
        var start = new ProcessStartInfo("bash")
        {
            ArgumentList = { Overlay.PathOf("secrets.sh"), argument },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var name in Servers.Keys)
            start.Environment.Remove(name);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        Assert.SkipUnless(CanStart("openssl"), "openssl is not installed.");
        Assert.SkipUnless(CanStart("bash"), "bash is not installed.");

        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    private static bool CanStart(string program)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program) { ArgumentList = { program == "bash" ? "--version" : "version" }, RedirectStandardOutput = true })!;
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
