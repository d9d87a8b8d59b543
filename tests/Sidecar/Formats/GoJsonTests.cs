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
    [InlineData("""{"b":1.0,"a":-0,"n":12345678901234567890,"x":1e400}""", """{"b":1.0,"a":-0,"n":12345678901234567890,"x":1e400}""")]
    [InlineData("""{"b":1.0,"a":1,"a":1e400}""", """{"a":1e400,"b":1.0}""")]
    [InlineData("""[{"a":1},{"a":2,"c":{"a":3}}]""", """[{"a":1},{"a":2,"c":{"a":3}}]""")]
    [InlineData("\"\\ud800 <\\u00e9>\"", "\"\ufffd \\u003cé\\u003e\"")]
    [InlineData("01", "0")]
    [InlineData("{} {}", "{}")]
    [InlineData(" {\"a\":1,\"a\":2} x", "{\"a\":2}")]
    [InlineData("1 2", "1")]
    [InlineData("truex", "true")]
    [InlineData("{\"a\":1", null)]
    [InlineData("", null)]
    public void A_published_value_keeps_its_numbers_and_loses_what_go_does_not_keep_and_what_stands_behind_it(string json, string? expected) =>
        Assert.Equal(expected, GoJson.TryNormalize(Encoding.UTF8.GetBytes(json), out var normal) ? Encoding.UTF8.GetString(normal.Span) : null);

    [Fact]
    public void Bytes_that_are_no_UTF_8_are_replaced_one_by_one()
    {
        Assert.True(GoJson.TryNormalize(new byte[] { (byte)'"', 0xFC, 0xDF, (byte)'e', (byte)'"' }, out var normal));
        Assert.Equal("\"\ufffd\ufffde\"", Encoding.UTF8.GetString(normal.Span));
    }

    [Fact]
    public void The_fields_of_a_large_object_are_those_that_came_last()
    {
        var json = "{" + string.Join(',', Enumerable.Range(0, 500).Select(n => $"\"k{n % 250:000}\":{n}")) + "}";

        Assert.True(GoJson.TryNormalize(Encoding.UTF8.GetBytes(json), out var normal));

        Assert.Equal("{" + string.Join(',', Enumerable.Range(0, 250).Select(n => $"\"k{n:000}\":{n + 250}")) + "}", Encoding.UTF8.GetString(normal.Span));
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
    [InlineData("\ufeff{}", "invalid character 'ï' looking for beginning of value")]
    [InlineData("ü", "invalid character 'Ã' looking for beginning of value")]
    [InlineData("ā", "invalid character 'Ä' looking for beginning of value")]
    [InlineData("[1\u0440]", "invalid character 'Ñ' after array element")]
    [InlineData("\\", "invalid character '\\\\' looking for beginning of value")]
    [InlineData("\a", "invalid character '\\a' looking for beginning of value")]
    [InlineData("\v", "invalid character '\\v' looking for beginning of value")]
    [InlineData("\"\b", "invalid character '\\b' in string literal")]
    [InlineData("\"\f", "invalid character '\\f' in string literal")]
    [InlineData("\u007f", "invalid character '\\x7f' looking for beginning of value")]
    [InlineData("\"\u0001", "invalid character '\\x01' in string literal")]
    public void What_is_wrong_is_said_in_gos_words(string json, string expected) =>
        Assert.Equal(expected, Assert.Throws<JsonException>(() => RequestBody.Parse(Encoding.UTF8.GetBytes(json))).Message);

    /// <summary>strconv.Quote escapes what cannot be printed.</summary>
    [Theory]
    [InlineData(0x85, "\\u0085")]
    [InlineData(0xA0, "\\u00a0")]
    [InlineData(0xAD, "\\u00ad")]
    [InlineData(0xFF, "ÿ")]
    public void A_bad_character_is_named_as_that_of_its_first_byte(byte bad, string expected) => Assert.Equal(
        $"invalid character '{expected}' looking for beginning of value", Assert.Throws<JsonException>(() => RequestBody.Parse(new[] { bad })).Message);
}
