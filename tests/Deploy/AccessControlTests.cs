using DaprOrders.Deploy.Tests.Kustomize;

namespace DaprOrders.Deploy.Tests;

/// <summary>deploy/access-control.yaml, decided as daprd decides: what services and console call is let through, and nothing else.</summary>
public sealed class AccessControlTests
{
    private static readonly AccessControl Table = new(YamlNodes.Read(RepositoryFiles.PathOf("deploy", "access-control.yaml")).Single());

    public static TheoryData<string> Followers => ["ordering", "inventory", "payments", "shipping", "reporting"];

    [Theory]
    [MemberData(nameof(Followers))]
    public void Whoever_follows_a_log_reads_all_of_it_and_changes_nothing(string caller)
    {
        Assert.True(Table.Allows(caller, "GET", "/event-log"));
        Assert.True(Table.Allows(caller, "GET", "/event-log/01a2"));
        Assert.True(Table.Allows(caller, "GET", "/event-log/01a2/entries"));
        Assert.True(Table.Allows(caller, "GET", "/event-log/streams/order-1"));
        Assert.True(Table.Allows(caller, "POST", "/event-log/streams"));
        Assert.False(Table.Allows(caller, "POST", "/event-log/recovery"));
        Assert.False(Table.Allows(caller, "POST", "/event-log/parked/1/redrive"));
        Assert.False(Table.Allows(caller, "DELETE", "/event-log/parked/1"));
        Assert.False(Table.Allows(caller, "POST", "/dead-letters/1/redrive"));
        Assert.False(Table.Allows(caller, "POST", "/dead-letters/1/edited-redrive"));
    }

    [Theory]
    [InlineData("GET", "/products", true)]
    [InlineData("GET", "/products/tea", true)]
    [InlineData("POST", "/products/lookup", true)]
    [InlineData("POST", "/shipments/1/cancellation", true)]
    [InlineData("PUT", "/products/tea", false)]
    [InlineData("POST", "/products/tea/receipts", false)]
    [InlineData("POST", "/orders", false)]
    public void Ordering_asks_for_prices_and_stops_shipments(string verb, string path, bool allowed) => Assert.Equal(allowed, Table.Allows("ordering", verb, path));

    [Theory]
    [InlineData("GET", "/healthz/ready")]
    [InlineData("GET", "/sidecar")]
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
    [InlineData("DELETE", "/dead-letters/1")]
    public void The_console_calls_what_its_pages_show_and_what_operators_do(string verb, string path) => Assert.True(Table.Allows("console", verb, path));

    [Theory]
    [InlineData("console", "POST", "/event-log/recovery")]
    [InlineData("console", "DELETE", "/event-log/parked/1")]
    [InlineData("console", "GET", "/metrics")]
    [InlineData("payments", "POST", "/orders")]
    [InlineData("payments", "GET", "/customers/c-1/orders")]
    [InlineData("stranger", "GET", "/products")]
    public void What_is_not_named_is_refused(string caller, string verb, string path) => Assert.False(Table.Allows(caller, verb, path));

    /// <summary>As the first table here did: daprd refused what followed a shorter path.</summary>
    [Fact]
    public void An_operation_hides_what_is_below_it()
    {
        var hiding = new AccessControl(YamlNodes.Parse("""
            spec:
              accessControl:
                defaultAction: deny
                policies:
                  - appId: a
                    defaultAction: deny
                    operations:
                      - { name: /x, httpVerb: [GET], action: allow }
                      - { name: /x/y, httpVerb: [POST], action: allow }
            """, "a table").Single());

        Assert.False(hiding.Allows("a", "POST", "/x/y"));
        Assert.True(hiding.Allows("a", "GET", "/x/y"));
    }
}
