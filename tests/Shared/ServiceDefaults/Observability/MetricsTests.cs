using System.Net;
using System.Net.Http.Headers;
using Dapr;
using DaprOrders.Doubles;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Observability;

/// <summary>What GET /metrics tells. Counters are the process's, so each test has topics of its own.</summary>
public sealed class MetricsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Deliveries_are_counted_by_topic_and_answer_and_the_age_of_what_was_handled_is_told()
    {
        await using var host = await StartAsync(app => app.MapTopic("counted", "post", (events, _) =>
            events[0].Recorded.Stream == "letter-bad" ? throw new InvalidOperationException("It fails.") : Task.CompletedTask));

        await host.DeliverManyAsync("counted", CloudEvent("letter-1", 1), CloudEvent("letter-2", 1), CloudEvent("letter-bad", 1));

        var metrics = await ReadAsync(host);
        Assert.Equal("2", ValueOf(metrics, "topics_deliveries_total", "topic=\"counted\"", "answer=\"success\""));
        Assert.Equal("1", ValueOf(metrics, "topics_deliveries_total", "topic=\"counted\"", "answer=\"retry\""));
        Assert.Equal("2", ValueOf(metrics, "topics_delivery_age_seconds_count", "topic=\"counted\""));
    }

    [Fact]
    public async Task Dead_letters_are_counted_when_they_come_and_when_they_go()
    {
        await using var host = await StartAsync(app => app.MapTopic("lost", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("letter-1", 1, "lost"));
        await host.DeliverDeadAsync(CloudEvent("letter-1", 1, "lost"));
        Assert.Equal("1", ValueOf(await ReadAsync(host), "dead_letters_kept_total", "topic=\"lost\""));
        using var redriven = await host.Http.PostAsync(
            new Uri($"/dead-letters/{DeadLetterStore.IdOf("letter-1:1")}/redrive", UriKind.Relative), null, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, redriven.StatusCode);

        string metrics;
        // What is told is made at most three times a second.
        while (ValueOf(metrics = await ReadAsync(host), "dead_letters_removed_total", "topic=\"lost\"") is null)
            await Task.Delay(TimeSpan.FromMilliseconds(50), Cancellation);
        Assert.Equal("1", ValueOf(metrics, "dead_letters_removed_total", "topic=\"lost\""));
    }

    [Fact]
    public async Task How_far_the_catch_up_is_behind_a_publisher_s_log_and_with_each_topic_is_told()
    {
        var isAway = true;
        await using var host = await StartAsync(app => app.MapTopic(
            "far-letters", "far-behind", (_, _) => Volatile.Read(ref isAway) ? Task.FromException(new DaprException("The store is away.")) : Task.CompletedTask));
        for (var i = 0; i < 3; i++)
            host.Publisher.Commit($"letter-{i}", topic: "far-letters");

        await host.AdvanceUntilAsync(async () => await BehindAsync() == ("3", "3"));
        Volatile.Write(ref isAway, false);
        await host.AdvanceUntilAsync(async () => await BehindAsync() == ("0", "0"));

        async Task<(string? Commits, string? Events)> BehindAsync()
        {
            var metrics = await ReadAsync(host);
            return (ValueOf(metrics, "catchup_behind", "publisher=\"far-behind\""), ValueOf(metrics, "catchup_waiting", "topic=\"far-letters\""));
        }
    }

    [Fact]
    public async Task Requests_and_the_runtime_are_told_and_the_scrape_itself_is_not()
    {
        await using var host = await StartAsync(_ => { });
        using (await host.Http.GetAsync(new Uri("/dead-letters", UriKind.Relative), Cancellation)) { }

        var metrics = await ReadAsync(host);

        Assert.Contains("http_server_request_duration_seconds_count", metrics, StringComparison.Ordinal);
        Assert.Contains("http_route=\"/dead-letters/\"", metrics, StringComparison.Ordinal);
        Assert.Contains("dotnet_gc_collections_total", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain(
            metrics.Split('\n'),
            line => line.StartsWith("http_server_request_duration", StringComparison.Ordinal) && line.Contains("/metrics", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Where_people_sign_in_metrics_are_for_operators()
    {
        await using var host = await StartAsync(_ => { }, BearerTokens.Settings);

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(token: null));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(BearerTokens.Of("c-42")));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(BearerTokens.Of("prometheus", "operator")));

        async Task<HttpStatusCode> StatusAsync(string? token)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
            request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
            using var answer = await host.Http.SendAsync(request, Cancellation);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task Without_Prometheus_there_is_nothing_to_scrape()
    {
        await using var host = await StartAsync(_ => { }, ("Metrics:Prometheus", "false"));

        using var answer = await host.Http.GetAsync(new Uri("/metrics", UriKind.Relative), Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    private static async Task<string> ReadAsync(ServiceHost host) => await host.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Cancellation);

    private static string? ValueOf(string metrics, string name, params string[] labels) => metrics.Split('\n')
        .FirstOrDefault(line => line.StartsWith($"{name}{{", StringComparison.Ordinal) && labels.All(label => line.Contains(label, StringComparison.Ordinal)))?
        .Split("} ")[1].Split(' ')[0];
}
