using System.Net;
using DaprOrders.Console.Calling;
using DaprOrders.Console.Shell;

namespace DaprOrders.Console.Overview;

public enum Mood
{
    Good,
    Warn,
    Bad,
}

/// <param name="Page">Where it is put right.</param>
public sealed record Concern(string Text, string? Page, Mood Mood);

/// <summary>What a look at the overview should end with: all is well, or what needs somebody.</summary>
public sealed record Verdict(Mood Mood, string Text, IReadOnlyList<Concern> Concerns)
{
    /// <summary>An order that takes so long waits for something.</summary>
    private static readonly TimeSpan Stuck = TimeSpan.FromMinutes(2);

    /// <summary>Consumers look at the logs some seconds behind: of a few orders so much is always open.</summary>
    private const long UsualLag = 2_000;

    /// <summary>As the alert ProjectionsAreBehind has it.</summary>
    private const long UsualLagOfReporting = 1_000;

    /// <summary>A lane commits less than a hundred times a second, and is published as it commits: so many wait for a broker that is slow.</summary>
    private const long UsuallyUnpublished = 500;

    public static Verdict Of(OverviewState state)
    {
        var concerns = new List<Concern>();
        foreach (var app in state.Health)
        {
            if (app.Health.Failure is { } failure)
                concerns.Add(new(failure.ToString(), "/topology", Mood.Bad));
            else if (!app.Health.Value!.IsWell)
                concerns.Add(new($"{app.App} is {app.Health.Value.Status.ToLowerInvariant()}: {app.Health.Value.Reasons}", "/topology", app.Health.Value.Status == "Degraded" ? Mood.Warn : Mood.Bad));
        }

        // What could not be read may be well or not: that is not known, and said.
        foreach (var failure in state.Failures.Where(failure => concerns.All(concern => concern.Text != failure.ToString())))
            concerns.Add(new(failure.ToString(), failure.Status == HttpStatusCode.Unauthorized ? "/sign-in" : "/topology", Mood.Bad));
        var letters = state.Letters.Sum(of => of.Letters.Value?.Count ?? 0);
        if (letters > 0)
            concerns.Add(new($"{(state.Letters.Any(of => of.Letters.Value is { IsAll: false }) ? "At least " : "")}{Words.Count(letters, "dead letter waits", "dead letters wait")} for somebody", "/dead-letters", Mood.Bad));
        var parked = state.Logs.Sum(log => log.Parked?.Values.Sum() ?? 0);
        if (parked > 0)
            concerns.Add(new($"{Words.Count(parked, "event is", "events are")} parked: the broker refuses them", null, Mood.Warn));
        foreach (var log in state.Logs.Where(log => log.Lanes.Value?.Loss is not null))
            concerns.Add(new($"The state store of {log.App} went back in time", null, Mood.Bad));
        foreach (var (app, lane) in state.Logs.SelectMany(log => (log.Lanes.Value?.All ?? []).Select(lane => (log.App, lane))))
        {
            var waits = $"{Words.Count(lane.Unpublished ?? 0, "commit")} unpublished";
            if (lane.State == "leftBehind")
                concerns.Add(new($"Lane {lane.Name} of {app} is left behind by {lane.Owner}, with {waits}", null, Mood.Warn));
            else if (lane.Unpublished > UsuallyUnpublished)
                concerns.Add(new($"Lane {lane.Name} of {app} has {waits}", null, Mood.Warn));
        }

        var logs = state.Lags.DistinctBy(lag => (lag.Consumer, lag.Publisher)).ToList();
        foreach (var lag in logs.Where(lag => lag.Commits > (lag.Consumer == Apps.Reporting ? UsualLagOfReporting : UsualLag)))
            concerns.Add(new($"{lag.Consumer} is {Words.Count(lag.Commits!.Value, "commit")} behind {lag.Publisher}", "/projections", Mood.Warn));
        // Where the log itself could not be read, that is said already.
        foreach (var lag in logs.Where(lag => lag.Commits is null && state.Logs.Any(log => log.App == lag.Publisher && log.Lanes.IsHere)))
            concerns.Add(new($"How far {lag.Consumer} is behind {lag.Publisher} is not known", "/topology", Mood.Warn));
        if (state.Projections.Value?.Failure is { } cannot)
            concerns.Add(new($"Reporting cannot follow the event logs since {Words.Duration(state.At - (cannot.Since ?? cannot.At), coarse: true)}: {cannot.Reason}", "/projections", Mood.Bad));
        if (state.Oldest is { } oldest && state.At - oldest.CreatedAt > Stuck)
            concerns.Add(new($"An order is {Words.Plain(oldest.Status)} since {Words.Duration(state.At - oldest.UpdatedAt, coarse: true)}", $"/orders/{oldest.OrderId}", Mood.Warn));
        foreach (var (status, count) in state.NotFound)
            concerns.Add(new($"{Words.Count(count, "order is", "orders are")} {Words.Plain(status)} and older than all that were looked through", $"/orders?status={status}", Mood.Warn));

        if (concerns.Count > 0)
            return new(concerns.Max(concern => concern.Mood), concerns.Count == 1 ? "One thing needs attention" : $"{concerns.Count} things need attention", concerns);
        var open = state.Summary.Value?.ByStatus.Where(status => !OrderStatuses.IsOver(status.Key)).Sum(status => status.Value) ?? 0;
        return new(Mood.Good, open == 0 ? "All is well. No order is under way, nothing failed, nothing lags." : $"All is well. {Words.Count(open, "order is", "orders are")} under way, nothing failed, nothing lags.", []);
    }
}
