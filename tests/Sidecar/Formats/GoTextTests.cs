using System.Text;
using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Formats;

public sealed class GoTextTests
{
    [Theory]
    [InlineData("""{"a":1,"b":[true,null,"x y"]}""", "map[a:1 b:[true <nil> x y]]")]
    [InlineData("""[["["],[],{}]""", "[[[] [] map[]]")]
    [InlineData("\"text\"", "text")]
    [InlineData("1e21", "1e+21")]
    [InlineData("0.00012", "0.00012")]
    [InlineData("0.000012", "1.2e-05")]
    [InlineData("999999.5", "999999.5")]
    [InlineData("1000000", "1e+06")]
    [InlineData("-123456789", "-1.23456789e+08")]
    [InlineData("12345678.25", "1.234567825e+07")]
    [InlineData("-1.5e-7", "-1.5e-07")]
    [InlineData("1e300", "1e+300")]
    [InlineData("-0", "-0")]
    public void A_json_value_is_shown_as_go_shows_what_it_has_decoded(string json, string expected) =>
        Assert.Equal(expected, GoText.OfJson(Encoding.UTF8.GetBytes(json)));
}
