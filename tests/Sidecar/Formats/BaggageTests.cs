using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Formats;

/// <summary>Baggage is refused where OpenTelemetry for Go refuses it, in its words.</summary>
public sealed class BaggageTests
{
    [Theory]
    [InlineData("")]
    [InlineData("k=v")]
    [InlineData("k = v , l=w;p;q=1")]
    [InlineData("k=")]
    [InlineData("k=a%20b=c")]
    [InlineData("k=v;")]
    public void What_can_be_read_is_taken(string header) => Assert.Null(Baggage.Problem(header));

    [Theory]
    [InlineData("k", "invalid baggage list-member: \"k\"")]
    [InlineData("k=v,", "invalid baggage list-member: \"\"")]
    [InlineData("=v", "invalid key: \"\"")]
    [InlineData("a b=v", "invalid key: \"a b\"")]
    [InlineData("k=a b", "invalid value: \"a b\"")]
    [InlineData("k=\u00c3\u00b6", "invalid value: \"\u00f6\"")]
    [InlineData(";;=", "invalid baggage list-member property: \"=\"")]
    public void What_cannot_be_read_is_told(string header, string problem) => Assert.Equal(problem, Baggage.Problem(header));

    [Fact]
    public void There_is_a_limit_to_its_length_and_number()
    {
        Assert.Equal("baggage-string too large", Baggage.Problem("k=" + new string('v', 8191)));
        Assert.Equal("list-member too large: 4097", Baggage.Problem("k=" + new string('v', 4095)));
        Assert.Equal("too many list-members in baggage-string", Baggage.Problem(string.Join(',', Enumerable.Range(0, 181).Select(n => $"k{n}=v"))));
    }
}
