using System.Text.Json;
using EmbeddedSidecar.Expressions;

namespace DaprOrders.Sidecar.Tests.Expressions;

public sealed class CelExpressionTests
{
    private const string Event = """
        {"type":"OrderCreated","source":"ordering","tags":["a","b"],"data":{"amount":50.5,"count":3,"name":"O'Hara","nothing":null,"line":{"sku":"tea-001"},"lines":[{"sku":"a","count":1},{"sku":"b","count":5}]}}
        """;

    [Theory]
    [InlineData("event.type == 'OrderCreated'")]
    [InlineData("event.type == \"OrderCreated\"")]
    [InlineData("event.type != 'x'")]
    [InlineData("event.data.amount > 10")]
    [InlineData("event.data.count == 3 && event.data.count == 3.0")]
    [InlineData("event.data.count >= 3 && event.data.count <= 3 && !(event.data.count < 3)")]
    [InlineData("event.type == 'x' || event.source == 'ordering'")]
    [InlineData("event.type in ['OrderCreated', 'OrderPaid']")]
    [InlineData("'a' in event.tags")]
    [InlineData("'amount' in event.data")]
    [InlineData("has(event.data.amount) && !has(event.data.missing)")]
    [InlineData("has(event.data.nothing) && event.data.nothing == null")]
    [InlineData("event.type.startsWith('Order') && event.type.endsWith('Created') && event.type.contains('rC')")]
    [InlineData("event.data.line.sku.matches('^tea-[0-9]+$')")]
    [InlineData("size(event.tags) == 2 && event.type.size() == 12")]
    [InlineData("event['type'] == 'OrderCreated' && event.tags[1] == 'b'")]
    [InlineData("event.data.name == 'O\\'Hara'")]
    [InlineData("1 + 2 * 3 == 7 && 7 % 4 == 3 && -1 < 0 && 'a' + 'b' == 'ab'")]
    [InlineData("event.data.count > 2 ? true : false")]
    [InlineData("int(event.data.amount) == 50 && string(event.data.count) == '3' && double('1.5') == 1.5")]
    [InlineData("event.data.missing == 1 || true")]
    [InlineData("true || event.data.missing == 1")]
    [InlineData("!(event.data.missing == 1 && false)")]
    [InlineData("event.tags == ['a', 'b'] && ['a', 'b'] == event.tags && ['a'] != ['b'] && [1] == [1.0]")]
    [InlineData("has(event.data.lines[1].sku) && !has(event.data.lines[1].price)")]
    [InlineData("event.data.count + 1.0 == 4.0 && -event.data.count == -3 && int(event.data.count) % 2 == 1")]
    [InlineData("event.data.lines[event.data.lines[0].count].sku == 'b'")]
    public void Holds(string expression) => Assert.True(Evaluate(expression));

    [Theory]
    [InlineData("event.type == 'x'")]
    [InlineData("event.data.amount > 10 && event.type == 'x'")]
    [InlineData("event.type == 1")]
    [InlineData("'c' in event.tags")]
    [InlineData("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')")]
    public void Does_not_hold(string expression) => Assert.False(Evaluate(expression));

    [Theory]
    [InlineData("event.tags.exists(tag, tag == 'a')")]
    [InlineData("!event.tags.exists(tag, tag == 'c') && ![].exists(tag, true)")]
    [InlineData("event.tags.all(tag, tag != 'c') && !event.tags.all(tag, tag == 'a') && [].all(tag, false)")]
    [InlineData("event.tags.exists_one(tag, tag == 'a') && !event.tags.exists_one(tag, true)")]
    [InlineData("event.data.lines.filter(line, line.count > 1).size() == 1")]
    [InlineData("event.data.lines.map(line, line.sku) == ['a', 'b']")]
    [InlineData("event.data.lines.map(line, line.count > 1, line.sku) == ['b']")]
    [InlineData("event.data.line.exists(key, key == 'sku')")]
    [InlineData("event.data.lines.exists(line, event.tags.exists(tag, tag == line.sku && event.source == 'ordering'))")]
    [InlineData("event.data.lines.exists(line, line.missing == 1 || line.count == 5)")]
    [InlineData("!event.data.lines.all(line, line.missing == 1 && line.count == 5)")]
    [InlineData("event.data.lines.filter(line, line.count > 1)[0].sku == 'b'")]
    public void A_macro_holds(string expression) => Assert.True(Evaluate(expression));

    [Theory]
    [InlineData("event.data.missing > 10", "no such key: missing")]
    [InlineData("event.missing.field == 1", "no such key: missing")]
    [InlineData("event.type > 10", "cannot be compared")]
    [InlineData("event.type", "expected true or false")]
    [InlineData("other.type == 'x'", "there is no 'other'")]
    [InlineData("event.data.missing == 1 && true", "no such key: missing")]
    [InlineData("1 / 0 == 1", "zero")]
    [InlineData("'ab'.matches('a(?=b)')", "matches('a(?=b)')")]
    [InlineData("event.tags[7] == 'a'", "no such index: 7")]
    [InlineData("event.data.count + 1 == 4", "'+' does not work on 3 and 1")]
    [InlineData("event.data.lines.exists(line, line.missing == 1)", "no such key: missing")]
    [InlineData("event.tags.all(tag, tag > 1)", "cannot be compared")]
    [InlineData("event.tags.exists(tag, tag)", "expected true or false")]
    [InlineData("event.data.lines.exists_one(line, line.missing == 1 || line.count == 5)", "no such key: missing")]
    [InlineData("event.type.exists(letter, true)", "expected a list or an object")]
    [InlineData("event.tags.exists(tag, true) && tag == 'a'", "there is no 'tag'")]
    public void Cannot_be_evaluated(string expression, string why) =>
        Assert.Contains(why, Assert.Throws<CelException>(() => Evaluate(expression)).Message, StringComparison.Ordinal);

    public static TheoryData<string, string> Endless => new()
    {
        { new string('(', 300), "nested deeper than 100 levels" },
        { new string('!', 300) + "true", "nested deeper than 100 levels" },
        { new string('-', 300) + "1", "nested deeper than 100 levels" },
        { string.Concat(Enumerable.Repeat("event[", 300)), "nested deeper than 100 levels" },
        { string.Concat(Enumerable.Repeat("true ? 1 : ", 200)) + "1", "nested deeper than 100 levels" },
        { string.Concat(Enumerable.Repeat("true && ", 50_000)) + "true", "longer than 1000 words and signs" },
        { "event" + string.Concat(Enumerable.Repeat(".a", 50_000)), "longer than 1000 words and signs" },
        { "0xFFFFFFFFFFFFFFFFFF == 1", "too large" },
    };

    [Theory]
    [MemberData(nameof(Endless))]
    public void Without_end_is_refused_before_it_can_end_the_process(string expression, string why)
    {
        var refusal = Assert.Throws<ResourceException>(() => CelExpression.Parse(expression, default));

        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void As_long_as_it_may_be_is_evaluated() =>
        Assert.True(Evaluate(string.Concat(Enumerable.Repeat("event.type != 'x' && ", 140)) + "true"));

    [Fact]
    public void Each_side_is_evaluated_once_however_deep_the_mistake_lies()
    {
        var expression = string.Concat(Enumerable.Repeat("true && (", 90)) + "event.missing == 1" + new string(')', 90);

        Assert.Contains("no such key", Assert.Throws<CelException>(() => Evaluate(expression)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("event.exists(a, event.exists(b, event.exists(c, false)))")]
    [InlineData("event.map(a, event.map(b, event.map(c, c))).size() > 0 || event.exists(a, true)")]
    [InlineData("event.exists(a, event.exists(b, -1 in event))")]
    [InlineData("event.exists(a, event.exists(b, -1 in event.map(c, c)))")]
    [InlineData("event.exists(a, event.exists(b, 'none' in object))")]
    public void What_goes_over_more_items_than_anybody_would_wait_for_ends(string expression)
    {
        using var list = JsonDocument.Parse($"[{string.Join(',', Enumerable.Range(0, 110))}]");
        var parsed = CelExpression.Parse(expression, default);

        using var map = JsonDocument.Parse($"{{{string.Join(',', Enumerable.Range(0, 110).Select(n => $"\"{n}\":{n}"))}}}");
        var error = Assert.Throws<CelException>(() => parsed.Matches(new Dictionary<string, object?> { ["event"] = list.RootElement, ["object"] = map.RootElement }));

        Assert.Equal("it goes over more than 1000000 items", error.Message);
    }

    [Theory]
    [InlineData("", "it is empty")]
    [InlineData("event.type ==", "expected a value at column 14")]
    [InlineData("event.type = 'x'", "unexpected '=' at column 12")]
    [InlineData("event.type == 'x", "unexpected ''' at column 15")]
    [InlineData("(event.type == 'x'", "expected ')'")]
    [InlineData("event.type == 'x' event", "expected an operator or the end at column 19")]
    [InlineData("event.type.lowerAscii() == 'x'", "the method 'lowerAscii'")]
    [InlineData("event.tags.exists('t', true)", "expected a name at column 19")]
    [InlineData("event.tags.all(tag, true, true)", "the macro 'all' at column 12 takes a name and an expression")]
    [InlineData("has(event)", "expected a field at column 10")]
    [InlineData("now() > 1", "the function 'now'")]
    public void Cannot_be_parsed_and_the_error_names_the_file_and_the_place(string expression, string why)
    {
        var message = Assert.Throws<ResourceException>(() => CelExpression.Parse(expression, new("subscriptions.yaml", 12))).Message;

        Assert.StartsWith("subscriptions.yaml:12: ", message, StringComparison.Ordinal);
        Assert.Contains(why, message, StringComparison.Ordinal);
    }

    private static bool Evaluate(string expression)
    {
        using var json = JsonDocument.Parse(Event);
        return CelExpression.Parse(expression, default).Matches(new Dictionary<string, object?> { ["event"] = json.RootElement });
    }
}
