using System.Globalization;
using EmbeddedSidecar.Components.Bindings.Cron;

namespace DaprOrders.Sidecar.Tests.Bindings;

public sealed class CronScheduleTests
{
    [Theory]
    [InlineData("@every 90s", "2030-01-01T10:01:30Z")]
    [InlineData("@hourly", "2030-01-01T11:00:00Z")]
    [InlineData("@daily", "2030-01-02T00:00:00Z")]
    [InlineData("*/15 * * * *", "2030-01-01T10:15:00Z")]
    [InlineData("*/5 * * * * *", "2030-01-01T10:00:05Z")]
    [InlineData("0 0 12 * * MON-FRI", "2030-01-01T12:00:00Z")]
    public void Each_form_of_a_schedule_knows_its_next_time(string text, string next)
    {
        var schedule = CronSchedule.TryParse(text);
        Assert.NotNull(schedule);
        Assert.Equal(
            DateTimeOffset.Parse(next, CultureInfo.InvariantCulture), schedule.Next(new DateTimeOffset(2030, 1, 1, 10, 0, 0, TimeSpan.Zero)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("@every soon")]
    [InlineData("@every -1s")]
    [InlineData("every 5 minutes")]
    [InlineData("* * *")]
    [InlineData("61 * * * *")]
    public void What_is_no_schedule_is_refused(string text) => Assert.Null(CronSchedule.TryParse(text));
}
