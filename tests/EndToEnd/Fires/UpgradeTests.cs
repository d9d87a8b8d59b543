using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Fires;

/// <summary>
/// What docs/upgrades.md promises, with processes of two releases: this one, and a later one of Shipping, built from this one's source with a changed
/// contract (LaterShipping): a field more, a type more, and a type of another shape.
/// </summary>
[Collection(OneAtATime.Name)]
public sealed partial class UpgradeTests
{
    private const string Later = "LaterShipping";
    private const string Packed = "ShipmentPacked";

    private const string Changed = "ShipmentDispatched";

    private static readonly Dictionary<string, string> WritesPacked = new() { ["Shipping__WritesPacked"] = "true" };
    private static readonly Dictionary<string, string> WritesTracking = new() { ["Shipping__WritesTracking"] = "true" };

    [Fact(Explicit = true)]
    public async Task Given_replicas_of_two_releases_side_by_side_under_load_then_each_reads_what_the_other_writes_and_what_it_does_not_know_it_leaves_alone()
    {
        ServerProgram.Require(OperatingSystem.IsWindows() ? "no process is asked to end by SIGTERM on Windows" : null);
        await using var pods = await Pods.StartAsync(replicas: 2);

        var ofTheNext = "";
        var orders = await pods.UnderLoadAsync(async () =>
        {
            // First the release that reads the new type, beside this one; then the one that writes it.
            foreach (var environment in new[] { null, WritesPacked })
            {
                foreach (var former in pods.Of("shipping"))
                {
                    await pods.AddAsync("shipping", environment, Later);
                    await pods.RemoveAsync(former, EndsFirst.Service);
                }
            }

            ofTheNext = await ShippedAsync(pods);
        });

        var later = pods.Of("shipping")[0];
        var shipments = new List<(string Order, IReadOnlyList<string> Types, bool HasCarrier)>();
        foreach (var order in orders.Append(ofTheNext))
        {
            var events = await EventsAsync(pods, later, order);
            if (events.Count > 0)
                shipments.Add((order, [.. events.Select(e => $"{e["type"]}")], events[^1]["data"]!["carrier"] is not null));
        }

        var ofThisRelease = shipments.First(shipment => shipment is { Types: ["ShipmentDispatched"], HasCarrier: false }).Order;
        Assert.Contains(shipments, shipment => shipment is { Types: ["ShipmentDispatched"], HasCarrier: true });
        Assert.Contains(shipments, shipment => shipment is { Types: [Packed, "ShipmentDispatched"], HasCarrier: true } && shipment.Order == ofTheNext);

        // Consumers that are behind pass the type, and count it.
        foreach (var app in new[] { "ordering", "reporting" })
            Assert.True(await UnknownAsync(pods, app) > 0, $"{app} counted no event of a type that it does not know");

        // A replica of before, once more: what is newer than it knows it neither shows nor decides on; its log hands it on as it is.
        var former = await pods.AddAsync("shipping");
        using var known = await pods.AskAsync(former, $"shipments/{ofThisRelease}");
        Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        using var newer = await pods.AskAsync(former, $"shipments/{ofTheNext}");
        Assert.Equal("urn:daprorders:newer-event", (await Shop.ReadAsync(newer, HttpStatusCode.ServiceUnavailable))["type"]!.GetValue<string>());
        Assert.Equal(
            (await EventsAsync(pods, later, ofTheNext)).Select(e => e.ToJsonString()),
            (await EventsAsync(pods, former, ofTheNext)).Select(e => e.ToJsonString()));
    }

    [Fact(Explicit = true)]
    public async Task Given_a_type_of_another_shape_then_what_was_stored_before_is_read_by_the_release_that_knows_it_and_what_is_written_in_it_waits_for_who_does_not()
    {
        ServerProgram.Require(OperatingSystem.IsWindows() ? "no process is asked to end by SIGTERM on Windows" : null);
        await using var pods = await Pods.StartAsync(replicas: 1);
        var stored = await ShippedAsync(pods);
        var former = pods.Of("shipping")[0];
        var (shipment, events) = (await ShipmentAsync(pods, former, stored), await EventsAsync(pods, former, stored));

        // First the release that reads both, and writes the old one: this release's streams are as they were, and nobody notices what it writes.
        var reads = await pods.AddAsync("shipping", release: Later);
        await pods.RemoveAsync(former, EndsFirst.Service);
        Assert.Equal(shipment.ToJsonString(), (await ShipmentAsync(pods, reads, stored)).ToJsonString());
        Assert.Equal(events.Select(e => e.ToJsonString()), (await EventsAsync(pods, reads, stored)).Select(e => e.ToJsonString()));
        var asBefore = await ShippedAsync(pods);
        Assert.Equal([(Changed, 1)], VersionsOf(await EventsAsync(pods, reads, asBefore)));
        var tracking = $"{(await ShipmentAsync(pods, reads, asBefore))["trackingNumber"]}";
        Assert.Equal(tracking, $"{(await pods.Shop.OrderAsync(asBefore))["shipment"]!["trackingNumber"]}");
        await pods.AuditAsync([stored, asBefore], new Dictionary<string, int>());

        // Then the one that writes the new one, and one of before beside it. Ordering was forgotten, and has no upcaster.
        var writes = await pods.AddAsync("shipping", WritesTracking, Later);
        await pods.RemoveAsync(reads, EndsFirst.Service);
        var ofTheNext = await pods.Shop.OrderAsync(await pods.Shop.StockAsync(1), 1);
        var dispatched = await Until.Async(() => EventsAsync(pods, writes, ofTheNext), dispatched => dispatched.Count > 0, $"order {ofTheNext} to be dispatched");
        Assert.Equal([(Changed, 2)], VersionsOf(dispatched));
        reads = await pods.AddAsync("shipping", release: Later);
        Assert.Equal("dispatched", $"{(await ShipmentAsync(pods, reads, ofTheNext))["status"]}");
        Assert.Equal((await ShipmentAsync(pods, writes, ofTheNext)).ToJsonString(), (await ShipmentAsync(pods, reads, ofTheNext)).ToJsonString());
        JsonNode? letter = null;
        await Until.TrueAsync(
            async () => (letter = (await pods.Shop.GetAsync("ordering", "dead-letters"))["deadLetters"]!.AsArray().FirstOrDefault()) is not null,
            TimeSpan.FromMinutes(3), () => "The event did not become a dead letter of Ordering.");
        Assert.Equal($"shipment-{ofTheNext}", $"{letter!["stream"]}");
        Assert.Contains($"Stream shipment-{ofTheNext}, version 1: '{Changed}' has schema version 2; this service reads 1", $"{letter["error"]}", StringComparison.Ordinal);
        Assert.Equal("paid", Shop.Status(await pods.Shop.OrderAsync(ofTheNext)));
    }

    private static IReadOnlyList<(string Type, int SchemaVersion)> VersionsOf(IReadOnlyList<JsonNode> events) => [.. events.Select(e => ($"{e["type"]}", (int)e["schemaVersion"]!))];

    private static async Task<JsonNode> ShipmentAsync(Pods pods, Pod shipping, string order)
    {
        using var answer = await pods.AskAsync(shipping, $"shipments/{order}");
        return await Shop.ReadAsync(answer, HttpStatusCode.OK);
    }

    private static async Task<string> ShippedAsync(Pods pods)
    {
        var order = await pods.Shop.OrderAsync(await pods.Shop.StockAsync(1), 1);
        Assert.Equal("shipped", Shop.Status(await pods.Shop.FinalAsync(order)));
        return order;
    }

    private static async Task<IReadOnlyList<JsonNode>> EventsAsync(Pods pods, Pod shipping, string order)
    {
        using var answer = await pods.AskAsync(shipping, $"event-log/streams/shipment-{order}");
        return [.. (await Shop.ReadAsync(answer, HttpStatusCode.OK)).AsArray().Select(e => e!)];
    }

    private static async Task<double> UnknownAsync(Pods pods, string app)
    {
        var counted = 0.0;
        foreach (var pod in pods.Of(app))
        {
            using var answer = await pods.AskAsync(pod, "metrics");
            counted += Counted().Matches(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
                .Sum(sample => double.Parse(sample.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture));
        }

        return counted;
    }

    [GeneratedRegex($"^events_unknown_type_total\\{{[^}}]*type=\"{Packed}\"[^}}]*\\}} (\\S+)", RegexOptions.Multiline)]
    private static partial Regex Counted();
}
