using System.Text;
using System.Text.Json;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Formats;

public sealed class GoJsonTests
{
    [Theory]
    [InlineData("12345678901234567890", "12345678901234567000")]
    [InlineData("1.10", "1.1")]
    [InlineData("1.0", "1")]
    [InlineData("-0.5", "-0.5")]
    [InlineData("0.000001", "0.000001")]
    [InlineData("0.0000001", "1e-7")]
    [InlineData("1e20", "100000000000000000000")]
    [InlineData("1e21", "1e+21")]
    [InlineData("1.5E300", "1.5e+300")]
    [InlineData("""{"b":1,"a":{"d":[ ],"c":null}}""", """{"a":{"c":null,"d":[]},"b":1}""")]
    [InlineData("""{"a":1,"a":2}""", """{"a":2}""")]
    [InlineData("\"<a> & \\u00e9 \\ud83c\\udf75 \\u2028 \\n \\u0001 \\u20ac\"", "\"\\u003ca\\u003e \\u0026 é 🍵 \\u2028 \\n \\u0001 €\"")]
    public void A_value_is_written_as_go_writes_what_it_has_read(string json, string expected)
    {
        using var document = JsonDocument.Parse(json);

        Assert.Equal(expected, Encoding.UTF8.GetString(GoJson.Reencode(document.RootElement)));
    }

    [Theory]
    [InlineData("", "EOF")]
    [InlineData("{", "unexpected EOF")]
    [InlineData("[1,", "unexpected EOF")]
    [InlineData("\"abc", "unexpected EOF")]
    [InlineData("not json", "invalid character 'o' in literal null (expecting 'u')")]
    [InlineData("x", "invalid character 'x' looking for beginning of value")]
    [InlineData("[1 2]", "invalid character '2' after array element")]
    [InlineData("{1}", "invalid character '1' looking for beginning of object key string")]
    [InlineData("{\"a\" 1}", "invalid character '1' after object key")]
    [InlineData("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair")]
    [InlineData("\"a\\x\"", "invalid character 'x' in string escape code")]
    [InlineData("-x", "invalid character 'x' in numeric literal")]
    public void What_is_wrong_is_said_in_gos_words(string json, string expected) =>
        Assert.Equal(expected, Assert.Throws<JsonException>(() => RequestBody.Parse(Encoding.UTF8.GetBytes(json))).Message);
}
