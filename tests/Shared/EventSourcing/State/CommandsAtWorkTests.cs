using DaprOrders.EventSourcing.Streams;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.EventSourcing.Tests.State;

/// <summary>Rule: a call waits for others only while there are others, and never longer than the gather time.</summary>
public sealed class CommandsAtWorkTests
{
    private static readonly TimeSpan GatherTime = TimeSpan.FromMilliseconds(3);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void A_command_by_itself_waits_for_nobody()
    {
        var atWork = AtWork(commands: 1);
        Assert.True(atWork.GatherAsync(present: 1, most: 9, TestContext.Current.CancellationToken).IsCompletedSuccessfully);
    }

    [Fact]
    public void When_all_have_come_nobody_waits()
    {
        var atWork = AtWork(commands: 5);
        Assert.True(atWork.GatherAsync(present: 5, most: 9, TestContext.Current.CancellationToken).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task The_first_of_many_waits_for_the_gather_time_and_no_longer()
    {
        var gathered = AtWork(commands: 5).GatherAsync(present: 1, most: 9, TestContext.Current.CancellationToken);
        Assert.False(gathered.IsCompleted);

        _time.Advance(GatherTime);
        await gathered;
    }

    [Fact]
    public void A_call_that_is_full_waits_for_nobody()
    {
        var atWork = AtWork(commands: 5);
        Assert.True(atWork.GatherAsync(present: 2, most: 2, TestContext.Current.CancellationToken).IsCompletedSuccessfully);
    }

    [Fact]
    public void Who_has_ended_is_not_waited_for()
    {
        var atWork = AtWork(commands: 2);
        atWork.Leave();
        Assert.True(atWork.GatherAsync(present: 1, most: 9, TestContext.Current.CancellationToken).IsCompletedSuccessfully);
    }

    private CommandsAtWork AtWork(int commands)
    {
        var atWork = new CommandsAtWork(GatherTime, _time);
        for (var command = 0; command < commands; command++)
            atWork.Enter();
        return atWork;
    }
}
