using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using DaprOrders.EventSourcing.Publishing;
using FsCheck.Xunit;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.EventSourcing.Tests.Publishing;

public sealed class EventSigningTests
{
    private const string First = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    private const string Second = "c2Vjb25kLXNlY29uZC1zZWNvbmQtc2Vjb25kLXNlY29uZC0=";

    private static readonly RecordedEvent Authorized = new(
        "payment-1", 2, "PaymentAuthorized", 1, new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(1), null, null,
        JsonElement.Parse("""{"orderId":"1","amount":{"amount":19.00,"currency":"EUR"}}"""));

    [Property(MaxTest = 500)]
    public bool A_signature_survives_whatever_sidecar_or_broker_writes_the_JSON_anew(int seed)
    {
        var signing = With(First);
        var data = JsonValues.Any(new Random(seed));
        var sent = Authorized with { Data = JsonElement.Parse(data.ToJsonString()) };
        var received = Authorized with { Data = JsonElement.Parse(JsonValues.Rewritten(data, new Random(~seed))) };

        return signing.IsGenuine("payments", sent.Id, received, signing.Sign("payments", sent));
    }

    [Property(MaxTest = 500)]
    public bool A_change_anywhere_in_the_data_is_seen(int seed)
    {
        var signing = With(First);
        var (random, data) = (new Random(seed), JsonValues.Any(new Random(seed)));
        var sent = Authorized with { Data = JsonElement.Parse(data.ToJsonString()) };
        var received = Authorized with { Data = JsonElement.Parse(JsonValues.Changed(data, random)!.ToJsonString()) };

        return !signing.IsGenuine("payments", sent.Id, received, signing.Sign("payments", sent));
    }

    /// <summary>Left as published, right as daprd 1.18.1 handed it on (recorded: pubsub-odd-json).</summary>
    [Theory]
    [InlineData(""" "tab\tq\"\u2028 <>&" """, """ "tab\tq\"\u2028 \u003c\u003e\u0026" """)]
    [InlineData(""" {"a":1,"a":2} """, """ {"a":2} """)]
    [InlineData("123456789012345678901234567890", "123456789012345678901234567890")]
    [InlineData("0.1234567890123456789", "0.1234567890123456789")]
    [InlineData("-0", "-0")]
    [InlineData("1E5", "1E5")]
    [InlineData("  { \"a\" : 1 }\n", """{"a":1}""")]
    [InlineData(""" "a\u0000b" """, """ "a\u0000b" """)]
    public void What_daprd_was_seen_to_do_leaves_a_signature_right(string published, string delivered)
    {
        var signing = With(First);

        var signature = signing.Sign("payments", Authorized with { Data = JsonElement.Parse(published) });

        Assert.True(signing.IsGenuine("payments", Authorized.Id, Authorized with { Data = JsonElement.Parse(delivered) }, signature));
    }

    [Theory]
    [InlineData("12.50", "-12.50")]
    [InlineData("12.50", "1.250")]
    [InlineData("100", "10")]
    [InlineData("1e400", "1e401")]
    [InlineData("1e9999999999", "1e99999999990")]
    [InlineData("0", "null")]
    [InlineData("\"1\"", "1")]
    [InlineData("[]", "{}")]
    [InlineData("[[],[]]", "[[[]]]")]
    [InlineData("""["ab",""]""", """["a","b"]""")]
    [InlineData("""{"a":"b"}""", """{"b":"a"}""")]
    [InlineData("""{"a":1,"b":{}}""", """{"a":1,"b":{"a":1}}""")]
    public void Data_that_means_something_else_has_another_signature(string one, string other)
    {
        var signing = With(First);

        Assert.NotEqual(
            signing.Sign("payments", Authorized with { Data = JsonElement.Parse(one) }),
            signing.Sign("payments", Authorized with { Data = JsonElement.Parse(other) }));
    }

    [Fact]
    public void Every_field_that_a_consumer_acts_on_is_covered()
    {
        var signing = With(First);
        var signature = signing.Sign("payments", Authorized);
        RecordedEvent[] changed =
        [
            Authorized with { Stream = "payment-2" },
            Authorized with { Version = 3 },
            Authorized with { Type = "PaymentDeclined" },
            Authorized with { SchemaVersion = 2 },
            Authorized with { OccurredAt = Authorized.OccurredAt.AddTicks(1) },
            Authorized with { Data = JsonElement.Parse("{}") },
        ];

        Assert.All(changed, one => Assert.False(signing.IsGenuine("payments", Authorized.Id, one, signature)));
        Assert.False(signing.IsGenuine("shipping", Authorized.Id, Authorized, signature));
        Assert.False(signing.IsGenuine("payments", "payment-1:3", Authorized, signature));
        // The same text, cut elsewhere.
        Assert.False(signing.IsGenuine("payments", Authorized.Id, Authorized with { Type = "PaymentAuthorizedp", Stream = "ayment-1" }, signature));
        Assert.True(signing.IsGenuine("payments", Authorized.Id, Authorized with { OccurredAt = Authorized.OccurredAt.ToOffset(TimeSpan.FromHours(2)) }, signature));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("no base64")]
    [InlineData("AAAA")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void What_is_no_signature_of_the_event_is_refused(string? signature) =>
        Assert.False(With(First).IsGenuine("payments", Authorized.Id, Authorized, signature));

    [Fact]
    public void A_text_that_is_no_Unicode_cannot_have_been_signed()
    {
        var signing = With(First);

        Assert.False(signing.IsGenuine(
            "payments", Authorized.Id, Authorized with { Data = JsonElement.Parse("""{"a":"\ud800"}""") }, signing.Sign("payments", Authorized)));
    }

    [Fact]
    public void Keys_change_in_three_steps_and_at_each_of_them_every_service_understands_every_other()
    {
        EventSigning[] steps = [With(First), With($"{First},{Second}"), With($" {Second} , {First} "), With(Second)];

        for (var i = 0; i + 1 < steps.Length; i++)
        {
            Assert.True(steps[i].IsGenuine("payments", Authorized.Id, Authorized, steps[i + 1].Sign("payments", Authorized)));
            Assert.True(steps[i + 1].IsGenuine("payments", Authorized.Id, Authorized, steps[i].Sign("payments", Authorized)));
        }

        Assert.False(steps[3].IsGenuine("payments", Authorized.Id, Authorized, steps[0].Sign("payments", Authorized)));
    }

    [Theory]
    [InlineData("secret", "Key 1 of 1")]
    [InlineData("c2hvcnQ=", "Key 1 of 1")]
    [InlineData(First + ",", "Key 2 of 2")]
    [InlineData(First + ";" + Second, "Key 1 of 1")]
    [InlineData(" ", "Key 1 of 1")]
    public void A_setting_that_is_no_key_is_refused_and_not_told(string setting, string which)
    {
        var refused = Assert.Throws<InvalidOperationException>(() => With(setting));

        Assert.StartsWith($"{which} in EVENTS_SIGNING_KEY is not 32 bytes or more in base64. Expected ", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(First, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_key_nothing_is_signed()
    {
        var signing = With(null);

        Assert.False(signing.IsOn);
        Assert.Null(signing.Sign("payments", Authorized));
    }

    [Fact]
    public void The_relay_sends_the_signature_as_an_attribute_of_the_CloudEvent()
    {
        var signature = With(First).Sign("payments", Authorized);

        var published = JsonSerializer.SerializeToElement(new PublishedEvent("payments", Authorized, signature));
        var unsigned = JsonSerializer.SerializeToElement(new PublishedEvent("payments", Authorized, null));

        Assert.Equal(signature, published.GetProperty("signature").GetString());
        Assert.False(unsigned.TryGetProperty("signature", out _));
    }

    private static EventSigning With(string? setting) => EventSigning.From(
        new ConfigurationBuilder().AddInMemoryCollection([new("EVENTS_SIGNING_KEY", setting)]).Build());
}

/// <summary>JSON made by chance, written anew as others may, or changed in one place.</summary>
file static class JsonValues
{
    private static readonly JsonSerializerOptions Unescaped = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly string[] Texts = ["", "a", "A", "ab", "grüße", "<>&'\"", "\u2028\t\0", "😀", "\u00e9", "e\u0301", "12", "null"];

    public static JsonNode Any(Random random) => Value(random, depth: 3)!;

    /// <summary>Members in any order, texts escaped or not, numbers in another form, white space between.</summary>
    public static string Rewritten(JsonNode? value, Random random) => value switch
    {
        JsonObject members => $"{{ {string.Join(" ,\n", Shuffled(members, random).Select(member => $"{Text(member.Key, random)}: {Rewritten(member.Value, random)}"))} }}",
        JsonArray items => $"[\t{string.Join(" , ", items.Select(item => Rewritten(item, random)))}]",
        JsonValue one when one.TryGetValue<string>(out var text) => Text(text, random),
        JsonValue one when one.TryGetValue<decimal>(out var number) => Number(number, random),
        null => "null",
        _ => value.ToJsonString(),
    };

    public static JsonNode? Changed(JsonNode? value, Random random)
    {
        switch (value)
        {
            case JsonObject { Count: > 0 } members when random.Next(4) > 0:
                var changed = members.DeepClone().AsObject();
                var name = members.ElementAt(random.Next(members.Count)).Key;
                if (random.Next(3) == 0)
                    changed.Remove(name);
                else
                    changed[name] = Changed(members[name], random);
                return changed;
            case JsonArray { Count: > 0 } items when random.Next(4) > 0:
                var list = items.DeepClone().AsArray();
                var index = random.Next(items.Count);
                list[index] = Changed(items[index], random);
                return list;
            case JsonObject members:
                var more = members.DeepClone().AsObject();
                more["one more"] = null;
                return more;
            case JsonArray items:
                var longer = items.DeepClone().AsArray();
                longer.Add((JsonNode?)null);
                return longer;
            case JsonValue one when one.TryGetValue<string>(out var text):
                return text + "x";
            case JsonValue one when one.TryGetValue<decimal>(out var number):
                return number + 0.01m;
            case JsonValue one when one.TryGetValue<bool>(out var flag):
                return !flag;
            default:
                return "null";
        }
    }

    private static JsonNode? Value(Random random, int depth) => (random.Next(depth > 0 ? 7 : 5) switch
    {
        0 => (JsonNode?)null,
        1 => random.Next(2) == 0,
        2 => Math.Round((decimal)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(12))), random.Next(6)),
        3 => random.Next(-3, 3) * 10m,
        4 => Texts[random.Next(Texts.Length)],
        5 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth - 1))]),
        _ => new JsonObject(Texts.Where(_ => random.Next(3) == 0).Select(name => KeyValuePair.Create(name, Value(random, depth - 1)))),
    }) ?? (depth == 3 ? new JsonObject() : null);

    private static KeyValuePair<string, JsonNode?>[] Shuffled(JsonObject members, Random random)
    {
        var shuffled = members.ToArray();
        random.Shuffle(shuffled);
        return shuffled;
    }

    private static string Text(string text, Random random) => random.Next(3) switch
    {
        0 => JsonSerializer.Serialize(text, Unescaped),
        1 => JsonSerializer.Serialize(text),
        _ => $"\"{text.Aggregate(new StringBuilder(), (all, one) => all.Append(CultureInfo.InvariantCulture, $"\\u{(int)one:x4}"))}\"",
    };

    private static string Number(decimal number, Random random) => random.Next(4) switch
    {
        0 => number.ToString(CultureInfo.InvariantCulture),
        1 => (number * 1.00m).ToString(CultureInfo.InvariantCulture),
        2 => (number * 1000).ToString(CultureInfo.InvariantCulture) + "e-3",
        _ => number.ToString("0.############", CultureInfo.InvariantCulture) + "E+00",
    };
}
