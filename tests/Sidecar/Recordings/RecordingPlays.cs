using System.Globalization;
using System.Text;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>How one recording went.</summary>
public sealed record Outcome(IReadOnlyList<Difference> Differences, Exception? Failure)
{
    /// <summary>The plays before this one, which were not alike.</summary>
    public IReadOnlyList<Outcome> Before { get; init; } = [];

    public bool IsAlike => Differences.Count == 0 && Failure is null;

    /// <summary>Calls are missing, or too many, in all: one that came a step later is among both.</summary>
    public bool HasOtherCalls
    {
        get
        {
            var calls = Differences.Where(difference => difference.IsOfACall).ToList();
            return !calls.Select(call => call.Recorded).OfType<string>().Order(StringComparer.Ordinal)
                .SequenceEqual(calls.Select(call => call.Came).OfType<string>().Order(StringComparer.Ordinal));
        }
    }

    public override string ToString() => Failure switch
    {
        null => string.Join(Environment.NewLine, Differences),
        // The sidecar did not start, and says why.
        ResourceException => Failure.Message,
        _ => Failure.ToString(),
    };
}

/// <summary>
/// Plays the recordings, a bounded number at a time, the longest first, and sums up by name in artifacts/recordings.md.
/// The variable RECORDINGS narrows the run to the names that contain it.
/// </summary>
public sealed class RecordingPlays : IAsyncLifetime
{
    private const int AtOnce = 4;

    /// <summary>
    /// The recordings are of a quiet machine, with times in them (a timer every 200 ms): on a busy one a step comes late now and then. What was played more
    /// than once stands in the summary, with what differed.
    /// </summary>
    private const int MostPlays = 3;

    private readonly CancellationTokenSource _end = new();
    private readonly StoreServers _servers = new();
    private readonly SemaphoreSlim _places = new(AtOnce);
    private Dictionary<string, Task<Outcome>> _plays = [];

    public static Expectations Expectations { get; } =
        string.IsNullOrEmpty(Environment.GetEnvironmentVariable("DAPR_RUNTIME")) ? Expectations.OfTheEmbeddedSidecar : Expectations.OfDaprd;

    public static IReadOnlyList<string> Chosen { get; } =
        [.. Recording.AllIds.Where(id => id.Contains(Environment.GetEnvironmentVariable("RECORDINGS") ?? "", StringComparison.Ordinal))];

    public static IReadOnlyList<string> Played { get; } = [.. Chosen.Where(id => Expectations.WhyNotPlayed(Recording.Load(id)) is null)];

    /// <summary>Why a recording cannot be played on this machine; null when it can.</summary>
    public static string? MissingServer(string id) =>
        Recording.Load(id).Servers().Select(StoreServers.Missing).FirstOrDefault(missing => missing is not null);

    public Task<Outcome> OutcomeOf(string id) => _plays[id];

    public ValueTask InitializeAsync()
    {
        _plays = Played.Where(id => MissingServer(id) is null).Select(Recording.Load).OrderByDescending(LastCall).ToDictionary(recording => recording.Id, PlayInTurnAsync);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        var outcomes = new Dictionary<string, Outcome>();
        foreach (var (id, play) in _plays.OrderBy(play => play.Key, StringComparer.Ordinal))
            outcomes[id] = await play;
        await WriteSummaryAsync(outcomes);
        await _servers.DisposeAsync();
        _end.Dispose();
        _places.Dispose();
    }

    private async Task<Outcome> PlayInTurnAsync(Recording recording)
    {
        await _places.WaitAsync();
        try
        {
            return await PlayAsync(Expectations.Expected(recording), _servers, _end.Token);
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>It may be the machine. But an event that a broker lost, or gave out too often, is: how often a timer fires in a time, only the clock says.</summary>
    internal static bool MayBeLate(Recording recording, Outcome outcome) =>
        !outcome.IsAlike && !(outcome.HasOtherCalls && recording.Components().Any(component => component.Kind == "pubsub"));

    /// <param name="servers">For components that need one.</param>
    internal static async Task<Outcome> PlayAsync(Recording recording, StoreServers? servers, CancellationToken cancel)
    {
        var outcome = await PlayOnceAsync(recording, servers, cancel);
        while (MayBeLate(recording, outcome) && outcome.Before.Count + 1 < MostPlays && !cancel.IsCancellationRequested)
            outcome = await PlayOnceAsync(recording, servers, cancel) with { Before = [.. outcome.Before, outcome] };
        return outcome;
    }

    private static async Task<Outcome> PlayOnceAsync(Recording recording, StoreServers? servers, CancellationToken cancel)
    {
        try
        {
            return new Outcome(await Player.PlayAsync(recording, servers, cancel), null);
        }
        catch (Exception failure)
        {
            return new Outcome([], failure);
        }
    }

    private static long LastCall(Recording recording) =>
        recording.Steps.SelectMany(step => step["got"]?["calls"]?.AsArray() ?? []).Select(call => (long)call!["atMs"]!).DefaultIfEmpty().Max();

    private static async Task WriteSummaryAsync(Dictionary<string, Outcome> outcomes)
    {
        var notPlayed = Chosen.Except(Played).ToList();
        var differing = outcomes.Where(outcome => !outcome.Value.IsAlike).ToList();
        var text = new StringBuilder();
        var repeated = outcomes.Where(outcome => outcome.Value.Before.Count > 0).ToList();
        var counts = $"{outcomes.Count - differing.Count} alike, {differing.Count} differing, {notPlayed.Count} not played; {repeated.Count} played more than once";
        text.AppendLine(counts);
        foreach (var (id, outcome) in differing)
            text.AppendLine().AppendLine($"## {id}").AppendLine(outcome.ToString());
        text.AppendLine().AppendLine("## Played more than once");
        foreach (var (id, outcome) in repeated)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{id}: {outcome.Before.Count + 1} plays");
            foreach (var before in outcome.Before)
                text.AppendLine(before.ToString());
        }
        text.AppendLine().AppendLine("## Alike");
        foreach (var id in outcomes.Keys.Except(differing.Select(outcome => outcome.Key)))
            text.AppendLine(id);
        text.AppendLine().AppendLine("## Not played");
        foreach (var id in notPlayed)
            text.AppendLine(CultureInfo.InvariantCulture, $"{id}: {Expectations.WhyNotPlayed(Recording.Load(id))}");
        // The test program runs in artifacts/bin/{project}/{configuration}.
        var artifacts = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.Parent!.FullName;
        await File.WriteAllTextAsync(Path.Combine(artifacts, "recordings.md"), text.ToString());
        TestContext.Current.SendDiagnosticMessage(counts);
    }
}
