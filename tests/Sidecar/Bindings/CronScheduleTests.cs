using System.Globalization;
using EmbeddedSidecar.Components.Bindings.Cron;
using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>Schedules are read, and refused, with the words of daprd (dapr/kit cron).</summary>
public sealed class CronScheduleTests
{
    [Theory]
    [InlineData("@every 90s", "2030-01-01T10:01:30Z")]
    [InlineData("@every 500ms", "2030-01-01T10:00:00.5Z")]
    [InlineData("@hourly", "2030-01-01T11:00:00Z")]
    [InlineData("@daily", "2030-01-02T00:00:00Z")]
    [InlineData("@weekly", "2030-01-06T00:00:00Z")]
    [InlineData("@monthly", "2030-02-01T00:00:00Z")]
    [InlineData("@yearly", "2031-01-01T00:00:00Z")]
    [InlineData("*/15 * * * *", "2030-01-01T10:15:00Z")]
    [InlineData("*/5 * * * * *", "2030-01-01T10:00:05Z")]
    [InlineData("0 0 12 * * MON-FRI", "2030-01-01T12:00:00Z")]
    [InlineData("30 9,11 * * ?", "2030-01-01T11:30:00Z")]
    [InlineData("5/20 10 * * *", "2030-01-01T10:05:00Z")]
    [InlineData("0 0 29 feb *", "2032-02-29T00:00:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin 0 6 * * *", "2030-01-02T05:00:00Z")]
    [InlineData("TZ=UTC 0 6 * * *", "2030-01-02T06:00:00Z")]
    public void Each_form_of_a_schedule_knows_its_next_time(string text, string next) =>
        Assert.Equal(Time(next), CronSchedule.Parse(text).Next(Time("2030-01-01T10:00:00Z")));

    [Theory]
    [InlineData("0 0 13 * MON", "2030-01-07T00:00:00Z")]
    [InlineData("0 0 13 * *", "2030-01-13T00:00:00Z")]
    [InlineData("0 0 */5 * MON", "2030-01-06T00:00:00Z")]
    public void Of_two_kinds_of_days_one_is_enough_unless_one_of_them_is_any(string text, string next) =>
        Assert.Equal(Time(next), CronSchedule.Parse(text).Next(Time("2030-01-01T10:00:00Z")));

    [Theory]
    [InlineData("CRON_TZ=Europe/Berlin 30 2 * * *", "2030-03-30T12:00:00Z", "2030-04-01T00:30:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin 0 0 * * *", "2030-03-31T12:00:00Z", "2030-03-31T22:00:00Z")]
    [InlineData("CRON_TZ=Europe/Berlin * * * * *", "2030-10-27T00:59:00Z", "2030-10-27T01:00:00Z")]
    [InlineData("CRON_TZ=America/Sao_Paulo 0 1 * * *", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z")]
    public void A_change_of_the_clocks_skips_no_time_that_there_is(string text, string after, string next) =>
        Assert.Equal(Time(next), CronSchedule.Parse(text).Next(Time(after)));

    [Fact]
    public void What_never_comes_has_no_next_time() => Assert.Null(CronSchedule.Parse("0 0 30 2 *").Next(Time("2030-01-01T10:00:00Z")));

    [Theory]
    [InlineData("", "empty spec string")]
    [InlineData("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\"")]
    [InlineData("@every -1s", "a delay must be more than nothing: @every -1s")]
    [InlineData("@reboot", "unrecognized descriptor: @reboot")]
    [InlineData("every 5 minutes", "expected 5 to 6 fields, found 3: [every 5 minutes]")]
    [InlineData("60 * * * *", "end of range (60) above maximum (59): 60")]
    [InlineData("0 0 0 * *", "beginning of range (0) below minimum (1): 0")]
    [InlineData("30-10 * * * *", "beginning of range (30) beyond end of range (10): 30-10")]
    [InlineData("*/0 * * * *", "step of range should be a positive number: */0")]
    [InlineData("0 0 L * *", "failed to parse int from L: strconv.Atoi: parsing \"L\": invalid syntax")]
    [InlineData("TZ=Nowhere/At_all 0 6 * * *", "provided bad location Nowhere/At_all: unknown time zone Nowhere/At_all")]
    public void What_is_no_schedule_is_refused_with_the_reason(string text, string reason) =>
        Assert.Equal(reason, Assert.Throws<FormatException>(() => CronSchedule.Parse(text)).Message);

    [Fact]
    public void A_job_needs_the_field_of_the_seconds() =>
        Assert.Equal(
            "expected exactly 6 fields, found 5: [0 3 * * *]", Assert.Throws<FormatException>(() => GoCron.Parse("0 3 * * *", withSeconds: true)).Message);

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
