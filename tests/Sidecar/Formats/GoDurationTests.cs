using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Formats;

public sealed class GoDurationTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("1s", 1000)]
    [InlineData("0h0m1s0ms", 1000)]
    [InlineData("1h2m3s4ms", 3_723_004)]
    [InlineData("1.5h", 5_400_000)]
    [InlineData("-1s", -1000)]
    [InlineData("+20ms", 20)]
    [InlineData(".5s", 500)]
    public void What_go_accepts_is_read(string text, long milliseconds)
    {
        Assert.True(GoDuration.TryParse(text, out var duration));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), duration);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("s")]
    [InlineData("1d")]
    [InlineData("soon")]
    [InlineData("1s ")]
    [InlineData("1..5s")]
    [InlineData("-")]
    public void What_go_refuses_is_refused(string text) => Assert.False(GoDuration.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(1000, "1s")]
    [InlineData(1500, "1.5s")]
    [InlineData(200, "200ms")]
    [InlineData(60_000, "1m0s")]
    [InlineData(3_600_000, "1h0m0s")]
    [InlineData(-90_000, "-1m30s")]
    public void It_is_written_as_go_writes_it(long milliseconds, string text) =>
        Assert.Equal(text, GoDuration.Format(TimeSpan.FromMilliseconds(milliseconds)));
}
