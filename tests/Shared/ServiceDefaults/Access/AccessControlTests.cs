namespace DaprOrders.ServiceDefaults.Tests.Access;

/// <summary>deploy/access-control.yaml: with it, Dapr refuses what it does not name.</summary>
public sealed class AccessControlTests
{
    private static readonly string[] LogOperations =
    [
        "{ name: /event-log, httpVerb: [GET], action: allow }",
        "{ name: /event-log/**, httpVerb: [GET], action: allow }",
        "{ name: /event-log/streams, httpVerb: [POST], action: allow }",
    ];

    [Theory]
    [InlineData("ordering")]
    [InlineData("inventory")]
    [InlineData("payments")]
    [InlineData("shipping")]
    [InlineData("reporting")]
    public void Everybody_may_read_the_logs_as_followers_do(string appId)
    {
        var yaml = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "access-control.yaml"));
        var policy = yaml.Split("- appId: ").Single(part => part.StartsWith(appId, StringComparison.Ordinal));

        Assert.All(LogOperations, operation => Assert.Contains(operation, policy, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/event-log/**")]
    [InlineData("/sidecar")]
    [InlineData("/catch-up")]
    [InlineData("/healthz/ready")]
    [InlineData("/updates")]
    [InlineData("/orders/**")]
    [InlineData("/dead-letters/**")]
    [InlineData("/projections/rebuild")]
    public void The_console_may_call_what_its_pages_show(string path)
    {
        var yaml = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "access-control.yaml"));

        Assert.Contains($"{{ name: {path}, httpVerb: [", yaml.Split("- appId: ").Single(part => part.StartsWith("console", StringComparison.Ordinal)), StringComparison.Ordinal);
    }
}
