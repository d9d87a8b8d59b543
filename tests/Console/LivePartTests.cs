using Bunit;
using DaprOrders.Console.Shell;

namespace DaprOrders.Console.Tests;

/// <summary>What looks again and again never stops without a word, as long as its page is there.</summary>
public sealed class LivePartTests : ConsolePages
{
    public static TheoryData<string, Exception> Unexpected => new()
    {
        { "a mistake of ours", new InvalidOperationException() },
        { "a time-out: nobody has left the page", new OperationCanceledException() },
    };

    [Theory]
    [MemberData(nameof(Unexpected))]
    public async Task Given_a_look_that_fails_as_nobody_expected_when_its_time_comes_then_the_page_fails_visibly(string what, Exception failure)
    {
        _ = what;
        Render<Part>(part => part.Add(one => one.Look, () => throw failure));

        Time.Advance(Part.Pause);

        Assert.Same(failure, await Renderer.UnhandledException.WaitAsync(DefaultWaitTimeout, Xunit.TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Given_a_page_that_is_left_when_the_time_of_a_look_comes_then_nobody_looks()
    {
        var looks = 0;
        var part = Render<Part>(one => one.Add(it => it.Look, () => Task.FromResult(++looks))).Instance;
        Time.Advance(Part.Pause);
        await DisposeComponentsAsync();

        await part.Looking.WaitAsync(DefaultWaitTimeout, Xunit.TestContext.Current.CancellationToken);
        Time.Advance(Part.Pause);

        Assert.Equal(1, looks);
        Assert.False(Renderer.UnhandledException.IsCompleted);
    }

    private sealed class Part : LivePart
    {
        public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

        [Microsoft.AspNetCore.Components.Parameter]
        public Func<Task> Look { get; set; } = () => Task.CompletedTask;

        public Task Looking { get; private set; } = Task.CompletedTask;

        protected override void OnInitialized() => Looking = EveryAsync(Pause, Look);
    }
}
