using System.Text.Json;
using System.Text.Json.Nodes;
using DaprOrders.EventSourcing.Tests.Store;

namespace DaprOrders.EventSourcing.Tests.Events;

public sealed class EventTypesTests
{
    private static RecordedEvent Recorded(string type, int schemaVersion, string data) => new(
        "ledger-a", 3, type, schemaVersion, DateTimeOffset.UnixEpoch, null, null, JsonElement.Parse(data));

    [Fact]
    public void An_older_schema_version_passes_through_every_upcaster_on_its_way()
    {
        var types = new EventTypes().Add<Booked>(schemaVersion: 3)
            .Upcast("Booked", 1, json => new JsonObject { ["amount"] = json["sum"]!.DeepClone() })
            .Upcast("Booked", 2, json =>
            {
                json["text"] = "unknown";
                return json;
            });

        Assert.Equal(new Booked(5, "unknown"), types.Read(Recorded("Booked", 1, """{"sum":5}""")));
        Assert.Equal(new Booked(5, "unknown"), types.Read(Recorded("Booked", 2, """{"amount":5}""")));
        Assert.Equal(new Booked(5, "x"), types.Read(Recorded("Booked", 3, """{"amount":5,"text":"x"}""")));
    }

    /// <summary>docs/upgrades.md: the release that reads a new version comes before the one that writes it.</summary>
    [Fact]
    public void A_release_that_still_writes_the_version_before_reads_both()
    {
        var before = new EventTypes().Add<Booked>();
        var release = new EventTypes().Add<BookedIn>("Booked", schemaVersion: 2)
            .Upcast("Booked", 1, json => new JsonObject { ["booking"] = json.DeepClone() })
            .WriteAs("Booked", 1, json => json["booking"]!.DeepClone().AsObject());
        var payload = new BookedIn(new(5, "x"));

        var (_, version, data) = release.Write(payload);

        Assert.Equal(1, version);
        Assert.Equal(payload.Booking, before.Read(Recorded("Booked", version, data.GetRawText())));
        Assert.Equal(payload, release.Read(Recorded("Booked", version, data.GetRawText())));
        Assert.Equal(payload, release.Read(Recorded("Booked", 2, """{"booking":{"amount":5,"text":"x"}}""")));
    }

    [Theory]
    [InlineData("Unheard", 1, "a registered event type; got 'Unheard'")]
    [InlineData("Booked", 0, "an earlier schema version of 'Booked' than 3; got 0")]
    [InlineData("Booked", 3, "an earlier schema version of 'Booked' than 3; got 3")]
    [InlineData("Booked", 1, "no upcaster from 1")]
    public void What_would_be_written_and_could_not_be_read_is_refused_when_it_is_registered(string type, int version, string expected)
    {
        var types = new EventTypes().Add<Booked>(schemaVersion: 3).Upcast("Booked", 2, json => json);

        var error = Assert.Throws<ArgumentException>(() => types.WriteAs(type, version, json => json));

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        types.WriteAs("Booked", 2, json => json);
    }

    [Theory]
    [InlineData("Unheard", 1, "{}", "'Unheard' is not known")]
    [InlineData("Booked", 2, """{"amount":5,"text":""}""", "has schema version 2")]
    [InlineData("Booked", 1, """{"amount":5}""", "does not fit")]
    [InlineData("Booked", 1, """{"amount":"five","text":""}""", "does not fit")]
    public void What_cannot_be_read_is_an_error_that_names_stream_version_and_type(string type, int version, string data, string expected)
    {
        var error = Assert.Throws<UnknownEventException>(() => new EventTypes().AddFamily<LedgerEvent>().Read(Recorded(type, version, data)));

        Assert.Contains("ledger-a", error.Message, StringComparison.Ordinal);
        Assert.Contains("version 3", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_event_type_that_was_not_registered_cannot_be_written()
    {
        Assert.Throws<UnknownEventException>(() => new EventTypes().Of(new Booked(1, "")));
    }

    private sealed record BookedIn(Booked Booking) : LedgerEvent;
}
