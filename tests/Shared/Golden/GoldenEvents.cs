using System.Globalization;
using System.Text.Json;
using DaprOrders.EventSourcing;

namespace DaprOrders.Tests;

/// <summary>
/// Golden/{type}.v{n}.json is an event as it was once written, and stays: streams hold it for ever. A changed event gets a new schema version,
/// a new file and an upcaster; the old files go on being read.
/// </summary>
/// <param name="types">Every type that has a golden file.</param>
public abstract class GoldenEvents(EventTypes types)
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Golden");

    [Fact]
    public void Events_are_written_as_their_golden_files_say() => Assert.All(types.All, type =>
    {
        var file = Path.Combine(Folder, $"{type.Name}.v{type.SchemaVersion}.json");
        Assert.True(File.Exists(file), $"{Path.GetFileName(file)} is missing: write down what this version of the event looks like.");

        var golden = JsonElement.Parse(File.ReadAllText(file));
        var written = JsonSerializer.SerializeToElement(golden.Deserialize(type.ClrType, EventTypes.Json), type.ClrType, EventTypes.Json);

        Assert.True(
            JsonElement.DeepEquals(golden, written),
            $"{type.Name} was written as {golden} and is now {written}: raise its schema version, add an upcaster and a golden file, and keep this one.");
    });

    [Fact]
    public void Events_that_were_ever_written_can_be_read() => Assert.All(Directory.GetFiles(Folder, "*.json"), file =>
    {
        var parts = Path.GetFileName(file).Split('.');
        var recorded = new RecordedEvent(
            "golden-1", 1, parts[0], int.Parse(parts[1][1..], CultureInfo.InvariantCulture), DateTimeOffset.UnixEpoch, null, null,
            JsonElement.Parse(File.ReadAllText(file)));

        Assert.IsType(types.All.Single(type => type.Name == parts[0]).ClrType, types.Read(recorded));
    });
}
