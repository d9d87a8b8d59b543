using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>
/// Everything that a real daprd 1.18.1 answered and called, played again: against the embedded sidecar, or against the daprd whose
/// folder the variable DAPR_RUNTIME names.
/// </summary>
public sealed class RecordedBehaviourOfDaprd(RecordingPlays plays) : IClassFixture<RecordingPlays>
{
    public static TheoryData<string> Recordings => [.. RecordingPlays.Played];

    [Theory]
    [MemberData(nameof(Recordings))]
    public async Task Is_met(string recording)
    {
        ServerProgram.Require(RecordingPlays.MissingServer(recording));
        var outcome = await plays.OutcomeOf(recording);
        Assert.True(outcome.IsAlike, $"{recording} differs from what daprd did:{Environment.NewLine}{outcome}");
    }
}
