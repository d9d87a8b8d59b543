namespace DaprOrders.Console.Shell;

/// <summary>Where somebody came from, as their browser says it: never to another site.</summary>
internal static class Back
{
    public static string To(string? path) =>
        path is { Length: > 0 } && path[0] == '/' && !path.StartsWith("//", StringComparison.Ordinal) && !path.Contains('\\') ? path : "/";
}
