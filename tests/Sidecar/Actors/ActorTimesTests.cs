using EmbeddedSidecar.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

public sealed class ActorTimesTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 31, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("0h0m1s0ms", "2030-01-31T12:00:01Z")]
    [InlineData("PT10S", "2030-01-31T12:00:10Z")]
    [InlineData("P1DT2H", "2030-02-01T14:00:00Z")]
    [InlineData("P1W", "2030-02-07T12:00:00Z")]
    [InlineData("-1s", "2030-01-31T11:59:59Z")]
    [InlineData("2031-05-06T07:08:09Z", "2031-05-06T07:08:09Z")]
    [InlineData("2031-05-06T07:08:09+02:00", "2031-05-06T05:08:09Z")]
    public void A_due_time_is_a_go_or_iso_duration_or_an_rfc_3339_time(string text, string expected) =>
        Assert.Equal(DateTimeOffset.Parse(expected, System.Globalization.CultureInfo.InvariantCulture), ActorTimes.Parse(text, Start));

    [Theory]
    [InlineData("soon", "unsupported time/duration format: soon")]
    [InlineData("PT1.5S", "unsupported time/duration format: PT1.5S")]
    [InlineData("2031-05-06", "unsupported time/duration format: 2031-05-06")]
    [InlineData("R3/PT1S", "repetitions are not allowed")]
    public void Anything_else_is_refused_with_daprs_text(string text, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => ActorTimes.Parse(text, Start)).Message);

    [Theory]
    [InlineData("1s", 1, -1)]
    [InlineData("R3/PT2S", 2, 3)]
    [InlineData("R0/PT2S", 2, 0)]
    [InlineData("PT1M", 60, -1)]
    [InlineData("R5", 0, 5)]
    public void A_period_may_carry_repetitions(string text, int seconds, int times)
    {
        Assert.True(ActorPeriod.TryParse(text, out var period));
        Assert.Equal((TimeSpan.FromSeconds(seconds), times), (period.Exact, period.Times));
    }

    [Fact]
    public void A_calendar_period_follows_the_calendar()
    {
        Assert.True(ActorPeriod.TryParse("P1M", out var period));
        Assert.True(period.HasCalendarPart);
        Assert.Equal(new DateTimeOffset(2030, 2, 28, 12, 0, 0, TimeSpan.Zero), period.After(Start));
    }

    [Theory]
    [InlineData("P")]
    [InlineData("PT")]
    [InlineData("R/PT1S")]
    [InlineData("RPT1S")]
    [InlineData("often")]
    public void What_is_no_period_is_refused(string text) => Assert.False(ActorPeriod.TryParse(text, out _));
}
