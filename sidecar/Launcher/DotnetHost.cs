namespace DaprOrders.Sidecar.Launcher;

/// <summary>The <c>dotnet</c> that runs this process, for machines where it is not in PATH.</summary>
internal static class DotnetHost
{
    public static string Path { get; } = Find();

    private static string Find()
    {
        if (Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } host)
            return host;
        return Environment.ProcessPath is { } process && Is(process) ? process : "dotnet";
    }

    public static bool Is(string program) => System.IO.Path.GetFileNameWithoutExtension(program) == "dotnet";
}
