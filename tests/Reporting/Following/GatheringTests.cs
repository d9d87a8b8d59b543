using DaprOrders.Reporting.Following;

namespace DaprOrders.Reporting.Tests.Following;

public sealed class GatheringTests
{
    [Theory]
    [InlineData(0, 250)]
    [InlineData(25, 250)]
    [InlineData(60, 600)]
    [InlineData(200, 2000)]
    [InlineData(5000, 2000)]
    public void Between_two_readings_ten_times_as_long_is_waited_as_one_takes_within_bounds(int reading, int expected)
    {
        var options = new ReportingOptions { GatherFor = TimeSpan.FromMilliseconds(250) };

        Assert.Equal(TimeSpan.FromMilliseconds(expected), options.GatherAfter(TimeSpan.FromMilliseconds(reading)));
    }
}
