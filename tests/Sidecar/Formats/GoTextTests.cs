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
    public void A_json_value_is_shown_as_go_shows_what_it_has_decoded(string json, string expected) =>
        Assert.Equal(expected, GoText.OfJson(Encoding.UTF8.GetBytes(json)));
}
