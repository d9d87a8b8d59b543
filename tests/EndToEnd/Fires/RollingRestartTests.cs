namespace DaprOrders.EndToEnd.Tests.Fires;

[Collection(OneAtATime.Name)]
public sealed class RollingRestartTests
{
    /// <summary>As deploy/k8s gives a service from SIGTERM on: the host's ShutdownTimeout.</summary>
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(30);

    /// <summary>Their sidecars stay, as native sidecars do on Kubernetes.</summary>
    [Fact(Explicit = true)]
    public async Task Given_two_replicas_of_every_service_and_each_is_asked_to_end_in_turn_then_nothing_is_lost_and_each_ends_by_itself()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGTERM.");
        await using var fire = await Fire.StartAsync(new OrdersSystem(new Installation(replicas: 2)));
        var took = new List<TimeSpan>();

        await fire.UnderLoadAsync(async () =>
        {
            foreach (var app in Shop.Apps)
                took.AddRange(await fire.System.RestartInTurnAsync(app));
        });

        fire.Faults = took.Count;
        TestContext.Current.TestOutputHelper?.WriteLine($"ended after {string.Join(", ", took.Select(t => $"{t.TotalSeconds:0.0}"))} s");
        Assert.Equal(2 * Shop.Apps.Count, took.Count);
        Assert.All(took, time => Assert.True(time < EndsWithin, $"{time} from SIGTERM to the end"));
        await fire.AuditAsync();
    }
}
