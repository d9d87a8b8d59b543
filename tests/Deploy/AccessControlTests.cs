using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Deploy.Tests;

/// <summary>deploy/access-control.yaml, decided as the embedded sidecar and daprd decide: what services and console call is let through, and nothing else.</summary>
public sealed class AccessControlTests
{
    private static readonly ConfigurationResource Configuration = ResourceLoader.LoadConfiguration(RepositoryFiles.PathOf("deploy", "access-control.yaml"));

    private static readonly AccessControlList Table = new(Configuration.AccessControl!, isHttp: true);

    public static TheoryData<string> Followers => ["ordering", "inventory", "payments", "shipping", "reporting"];

    [Theory]
    [MemberData(nameof(Followers))]
    public void Whoever_follows_a_log_reads_all_of_it_and_changes_nothing(string caller)
    {
        Assert.True(Allows(caller, "GET", "/event-log"));
        Assert.True(Allows(caller, "GET", "/event-log/01a2"));
        Assert.True(Allows(caller, "GET", "/event-log/01a2/entries"));
        Assert.True(Allows(caller, "GET", "/event-log/streams/order-1"));
        Assert.True(Allows(caller, "POST", "/event-log/streams"));
        Assert.False(Allows(caller, "POST", "/event-log/recovery"));
        Assert.False(Allows(caller, "POST", "/event-log/parked/1/redrive"));
        Assert.False(Allows(caller, "DELETE", "/event-log/parked/1"));
        Assert.False(Allows(caller, "POST", "/dead-letters/1/redrive"));
        Assert.False(Allows(caller, "POST", "/dead-letters/1/edited-redrive"));
    }

    [Theory]
    [InlineData("GET", "/products", true)]
    [InlineData("GET", "/products/tea", true)]
    [InlineData("POST", "/products/lookup", true)]
    [InlineData("POST", "/shipments/1/cancellation", true)]
    [InlineData("PUT", "/products/tea", false)]
    [InlineData("POST", "/products/tea/receipts", false)]
    [InlineData("POST", "/orders", false)]
    public void Ordering_asks_for_prices_and_stops_shipments(string verb, string path, bool allowed) => Assert.Equal(allowed, Allows("ordering", verb, path));

    [Theory]
    [InlineData("GET", "/healthz/ready")]
    [InlineData("GET", "/sidecar")]
    [InlineData("GET", "/traffic")]
    [InlineData("GET", "/catch-up")]
    [InlineData("GET", "/event-log")]
    [InlineData("GET", "/event-log/parked")]
    [InlineData("GET", "/event-log/streams/order-1")]
    [InlineData("GET", "/orders")]
    [InlineData("POST", "/orders")]
    [InlineData("GET", "/orders/1")]
    [InlineData("POST", "/orders/1/cancellation")]
    [InlineData("GET", "/customers/c-1/orders")]
    [InlineData("GET", "/updates")]
    [InlineData("GET", "/summary")]
    [InlineData("GET", "/projections")]
    [InlineData("POST", "/projections/rebuild")]
    [InlineData("GET", "/products")]
    [InlineData("GET", "/products/tea")]
    [InlineData("PUT", "/products/tea")]
    [InlineData("POST", "/products/tea/receipts")]
    [InlineData("GET", "/dead-letters")]
    [InlineData("GET", "/dead-letters/1")]
    [InlineData("GET", "/dead-letters/removed")]
    [InlineData("GET", "/dead-letters/acts/1")]
    [InlineData("POST", "/dead-letters/1/redrive")]
    [InlineData("POST", "/dead-letters/1/edited-redrive")]
    [InlineData("POST", "/dead-letters/redrive/selected")]
    [InlineData("POST", "/dead-letters/1/discard")]
    public void The_console_calls_what_its_pages_show_and_what_operators_do(string verb, string path) => Assert.True(Allows("console", verb, path));

    [Theory]
    [InlineData("console", "POST", "/event-log/recovery")]
    [InlineData("console", "DELETE", "/event-log/parked/1")]
    [InlineData("console", "GET", "/metrics")]
    [InlineData("payments", "POST", "/orders")]
    [InlineData("payments", "GET", "/customers/c-1/orders")]
    [InlineData("stranger", "GET", "/products")]
    public void What_is_not_named_is_refused(string caller, string verb, string path) => Assert.False(Allows(caller, verb, path));

    [Fact]
    public void Calls_come_to_every_operation() => Assert.Empty(Configuration.Warnings);

    private static bool Allows(string caller, string verb, string path) => Table.Allows(new CallerIdentity("public", "default", caller), path, verb);
}
