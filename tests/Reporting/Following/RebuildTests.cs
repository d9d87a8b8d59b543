using System.Net;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.Doubles;

namespace DaprOrders.Reporting.Tests.Following;

public sealed class RebuildTests
{
    private static readonly Money Total = new(19.00m, "EUR");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_rebuild_fills_a_new_version_from_the_logs_and_then_serves_it()
    {
        var journal = GivenPaidOrders(30);
        await using var api = new ReportingApi(journal: journal);
        await api.EventuallyAsync("/summary", summary => summary.GetProperty("sold").GetInt64() == 30);
        var before = await ReadAllAsync(api);

        var answer = await api.Http.PostAsync("/projections/rebuild", null, Cancellation);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        Assert.Equal("/projections", answer.Headers.Location?.ToString());

        var projections = await api.EventuallyAsync("/projections", state => state.GetProperty("serving").GetProperty("version").GetInt64() == 2);
        Assert.Equal(JsonValueKind.Null, projections.GetProperty("building").ValueKind);
        Assert.Equal(before, await ReadAllAsync(api));
        await api.DeliverAsync("orders", journal.Commit("0", Journal.Created("later")));
        Assert.Equal(31, (await api.GetAsync("/orders")).GetProperty("orders").GetArrayLength());
    }

    [Fact]
    public async Task The_former_version_serves_while_the_new_one_is_built_and_a_restart_goes_on_with_it()
    {
        var (state, journal) = (new StateInMemory(), GivenPaidOrders(5));
        await using (var api = new ReportingApi(state, journal))
        {
            await api.EventuallyAsync("/summary", summary => summary.GetProperty("sold").GetInt64() == 5);
            // The new version cannot be written: the rebuild hangs, and answers go on.
            state.BeforeItem = key =>
            {
                if (key.StartsWith("v2|", StringComparison.Ordinal))
                    throw new TaskCanceledException("The store does not take it.");
            };
            await api.Http.PostAsync("/projections/rebuild", null, Cancellation);
            await api.Http.PostAsync("/projections/rebuild", null, Cancellation);
            await api.EventuallyAsync("/projections", projections => projections.GetProperty("failure").ValueKind == JsonValueKind.Object);
            Assert.Equal(5, (await api.GetAsync("/customers/c-1/orders")).GetProperty("orders").GetArrayLength());
        }

        state.BeforeItem = _ => { };
        await using var restarted = new ReportingApi(state, journal);

        await restarted.EventuallyAsync("/projections", projections => projections.GetProperty("serving").GetProperty("version").GetInt64() == 2);
        Assert.Equal(5, (await restarted.GetAsync("/summary")).GetProperty("sold").GetInt64());
    }

    [Fact]
    public async Task The_former_version_is_removed_altogether()
    {
        await using var api = new ReportingApi(journal: GivenPaidOrders(300));
        await api.EventuallyAsync("/summary", summary => summary.GetProperty("sold").GetInt64() == 300);
        Assert.Contains(api.State.Keys, key => key.StartsWith("v1|", StringComparison.Ordinal));

        await api.Http.PostAsync("/projections/rebuild", null, Cancellation);

        await api.EventuallyAsync("/projections", _ => !api.State.Keys.Any(key => key.StartsWith("v1|", StringComparison.Ordinal)));
        Assert.Equal(300, (await api.GetAsync("/summary")).GetProperty("sold").GetInt64());
    }

    [Fact]
    public async Task What_no_topic_ever_brought_is_found_in_the_logs()
    {
        await using var api = new ReportingApi(journal: GivenPaidOrders(3));

        await api.EventuallyAsync("/orders?status=paid", orders => orders.GetProperty("orders").GetArrayLength() == 3);
    }

    private static Journal GivenPaidOrders(int count)
    {
        var journal = new Journal();
        for (var i = 0; i < count; i++)
        {
            journal.Now += TimeSpan.FromMinutes(1);
            journal.Commit($"{i % 2}", Journal.Created($"o{i}"), new OrderStockReserved($"o{i}", "pm_card_ok", Total));
            journal.Commit("0", new PaymentAuthorized($"o{i}", "ch", Total));
            journal.Commit($"{i % 3}", new OrderPaid($"o{i}", "ch"));
        }

        return journal;
    }

    private static async Task<string> ReadAllAsync(ReportingApi api) => string.Join(
        '\n',
        await api.GetAsync("/summary"),
        await api.GetAsync("/orders?limit=200"),
        await api.GetAsync("/customers/c-1/orders?limit=200"),
        await api.GetAsync("/sales/daily?from=2026-03-01&to=2026-03-31"),
        await api.GetAsync("/sales/products"));
}
