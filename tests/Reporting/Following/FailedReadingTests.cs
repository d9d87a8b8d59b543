using System.Diagnostics.Metrics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Reporting.Tests.Following;

/// <summary>A log that cannot be read is read again and again: since when, and how often in vain, is told.</summary>
public sealed class FailedReadingTests
{
    [Fact]
    public async Task While_a_publisher_is_away_it_is_told_since_when_and_each_reading_that_failed_is_counted()
    {
        await using var api = new ReportingApi();
        var failed = 0L;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == api.Services.GetRequiredService<IMeterFactory>() && instrument.Name == "reporting.projection.failures")
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, readings, _, _) => Interlocked.Add(ref failed, readings));
        listener.Start();
        Assert.Equal(JsonValueKind.Null, (await api.GetAsync("/projections")).GetProperty("failure").ValueKind);

        api.Journal.Away.Add("shipping");

        var first = await FailureAsync(failure => failure.GetProperty("attempts").GetInt32() >= 1);
        var later = await FailureAsync(failure => failure.GetProperty("attempts").GetInt32() >= 3);
        Assert.Equal("Nobody answers.", later.GetProperty("reason").GetString());
        Assert.Equal(first.GetProperty("since").GetDateTimeOffset(), later.GetProperty("since").GetDateTimeOffset());
        Assert.True(later.GetProperty("at").GetDateTimeOffset() > later.GetProperty("since").GetDateTimeOffset());
        Assert.True(Interlocked.Read(ref failed) >= 2, $"{failed} readings were counted.");

        api.Journal.Away.Clear();
        await api.EventuallyAsync("/projections", projections => projections.GetProperty("failure").ValueKind == JsonValueKind.Null);

        async Task<JsonElement> FailureAsync(Func<JsonElement, bool> isAsExpected) => (await api.EventuallyAsync(
            "/projections",
            projections => projections.GetProperty("failure") is { ValueKind: JsonValueKind.Object } failure && isAsExpected(failure))).GetProperty("failure");
    }
}
