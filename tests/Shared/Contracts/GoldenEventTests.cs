using System.Text.Json;
using DaprOrders.EventSourcing;

namespace DaprOrders.Contracts.Tests;

/// <summary>
/// Golden/{type}.v{n}.json is an event as it was once written, and stays: streams hold it for ever. A changed contract gets a new schema version,
/// a new file and an upcaster; the old files go on being read.
/// </summary>
public sealed class GoldenEventTests
{
    private static readonly EventTypes Types = new EventTypes()
        .AddFamily<OrderEvent>()
        .AddFamily<ReservationEvent>()
        .AddFamily<ProductEvent>()
        .AddFamily<PaymentEvent>()
        .AddFamily<ShipmentEvent>();

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Golden");

    public static TheoryData<string> EveryType => [.. Types.All.Select(type => type.Name)];

    public static TheoryData<string> EveryFile => [.. Directory.GetFiles(Folder, "*.json").Select(file => Path.GetFileName(file))];

    [Theory]
    [MemberData(nameof(EveryType))]
    public void An_event_is_written_as_its_golden_file_says(string name)
    {
        var type = Types.All.Single(type => type.Name == name);
        var file = Path.Combine(Folder, $"{name}.v{type.SchemaVersion}.json");
        Assert.True(File.Exists(file), $"{Path.GetFileName(file)} is missing: write down what this version of the event looks like.");

        var golden = JsonElement.Parse(File.ReadAllText(file));
        var written = JsonSerializer.SerializeToElement(golden.Deserialize(type.ClrType, EventTypes.Json), type.ClrType, EventTypes.Json);

        Assert.True(
            JsonElement.DeepEquals(golden, written),
            $"{name} was written as {golden} and is now {written}: raise its schema version, add an upcaster and a golden file, and keep this one.");
    }

    [Theory]
    [MemberData(nameof(EveryFile))]
    public void Every_event_that_was_ever_written_can_be_read(string file)
    {
        var parts = file.Split('.');
        var recorded = new RecordedEvent(
            "golden-1", 1, parts[0], int.Parse(parts[1][1..], System.Globalization.CultureInfo.InvariantCulture), DateTimeOffset.UnixEpoch, null, null,
            JsonElement.Parse(File.ReadAllText(Path.Combine(Folder, file))));

        Assert.IsType(Types.All.Single(type => type.Name == parts[0]).ClrType, Types.Read(recorded));
    }
}
