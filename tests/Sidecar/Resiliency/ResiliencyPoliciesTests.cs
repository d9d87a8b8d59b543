using System.Net;
using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Time.Testing;
using Polly.Timeout;

namespace DaprOrders.Sidecar.Tests.Resiliency;

public sealed class ResiliencyPoliciesTests
{
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Without_a_policy_there_is_no_pipeline_to_pay_for()
    {
        var policies = new ResiliencyPolicies([Resource(retries: Retries(("unused", Constant(3))))], _time);

        Assert.Null(policies.ForApp("orders", "pay"));
        Assert.Null(policies.ForActor("Cart", "1"));
        Assert.Null(policies.ForActorTurn("Cart"));
        Assert.Null(policies.ForComponentInbound("pubsub", ComponentKind.Pubsub));
        Assert.Null(policies.ForComponentOutbound("store", ComponentKind.Statestore));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(3, 4)]
    public async Task A_constant_retry_makes_one_attempt_and_its_retries(int maxRetries, int attempts)
    {
        var policies = ForApp(Constant(maxRetries));

        Assert.Equal(attempts, await CountAttempts(policies, () => throw new InvalidOperationException("always")));
    }

    [Fact]
    public async Task A_retry_waits_its_duration_between_attempts()
    {
        var pipeline = ForApp(Constant(1) with { Duration = TimeSpan.FromSeconds(2) }).ForApp("orders", "pay")!;
        var attempts = 0;
        var failed = new TaskCompletionSource();
        var running = pipeline.ExecuteAsync(
            _ =>
            {
                failed.TrySetResult();
                return ++attempts == 1 ? throw new InvalidOperationException("first") : ValueTask.CompletedTask;
            },
            Cancellation).AsTask();
        await failed.Task;

        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.False(running.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await running;

        Assert.Equal(2, attempts);
    }

    public static TheoryData<string, int> Outcomes => new()
    {
        { "http 200", 1 },
        { "http 302", 1 },
        { "http 404", 2 },
        { "http 500", 2 },
        { "failed 503", 2 },
        { "exception", 2 },
        { "etag", 1 },
        { "breaker", 1 },
    };

    [Theory]
    [MemberData(nameof(Outcomes))]
    public async Task Every_status_outside_2xx_and_3xx_and_every_failure_is_retried_but_refused_etags_and_open_breakers(string outcome, int attempts) =>
        Assert.Equal(attempts, await CountAttempts(ForApp(Constant(1)), () => Answer(outcome)));

    [Theory]
    [InlineData("http 500", 2)]
    [InlineData("http 503", 2)]
    [InlineData("http 404", 1)]
    [InlineData("failed 429", 2)]
    [InlineData("failed 400", 1)]
    [InlineData("exception", 2)]
    public async Task Matching_narrows_what_is_retried_to_its_codes_and_leaves_failures_without_a_code(string outcome, int attempts) =>
        Assert.Equal(attempts, await CountAttempts(ForApp(Constant(1) with { HttpStatusCodes = [(429, 429), (500, 599)] }), () => Answer(outcome)));

    [Fact]
    public async Task The_last_answer_passes_through_when_the_retries_are_used_up()
    {
        using var answer = await ForApp(Constant(2)).ForApp("orders", "pay")!.ExecuteAsync(
            _ => ValueTask.FromResult(new HttpResponseMessage(HttpStatusCode.BadGateway)), Cancellation);

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
    }

    [Fact]
    public async Task A_timeout_ends_each_attempt_by_its_own()
    {
        var policies = new ResiliencyPolicies(
            [
                Resource(
                    timeouts: new Dictionary<string, TimeSpan> { ["half"] = TimeSpan.FromMilliseconds(500) },
                    retries: Retries(("two", Constant(2))),
                    apps: new Dictionary<string, PolicyNames> { ["orders"] = new("half", "two", null) }),
            ],
            _time);
        var attempts = 0;
        var running = policies.ForApp("orders", "pay")!.ExecuteAsync(
            async stop =>
            {
                attempts++;
                await Task.Delay(Timeout.InfiniteTimeSpan, _time, stop);
            },
            Cancellation).AsTask();
        while (!running.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        await Assert.ThrowsAsync<TimeoutRejectedException>(() => running);
        Assert.Equal(3, attempts);
    }

    [Fact]
    public async Task A_call_that_its_caller_gave_up_is_not_retried()
    {
        using var given = new CancellationTokenSource();
        var attempts = 0;

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await ForApp(Constant(5)).ForApp("orders", "pay")!.ExecuteAsync(
            async stop =>
            {
                attempts++;
                await given.CancelAsync();
                stop.ThrowIfCancellationRequested();
            },
            given.Token));

        Assert.Equal(1, attempts);
    }

    /// <summary>In daprd's words (pkg/resiliency/policy.go, breaker/circuitbreaker.go): it is where the pages of Dapr's quickstart of resiliency look.</summary>
    [Fact]
    public async Task Retries_and_breakers_that_open_and_close_are_told()
    {
        using var log = new WrittenLog();
        var policies = new ResiliencyPolicies(
            [
                Resource(
                    retries: Retries(("r", Constant(1))),
                    breakers: new() { ["cb"] = new(1, TimeSpan.Zero, TimeSpan.FromSeconds(5), "consecutiveFailures >= 2") },
                    apps: new() { ["orders"] = new(null, "r", "cb") }),
            ],
            _time,
            log);

        await CallAsync(failures: 1);
        await Assert.ThrowsAsync<InvalidOperationException>(() => CallAsync(failures: 2));
        _time.Advance(TimeSpan.FromSeconds(5));
        await CallAsync(failures: 0);

        Assert.Equal(
            [
                "Error processing operation endpoint[orders, orders:pay]. Retrying in 0s…",
                "Recovered processing operation endpoint[orders, orders:pay] after 2 attempts",
                "Error processing operation endpoint[orders, orders:pay]. Retrying in 0s…",
                "Circuit breaker \"orders:pay\" changed state from closed to open",
                "Circuit breaker \"orders:pay\" changed state from open to half-open",
                "Circuit breaker \"orders:pay\" changed state from half-open to closed",
            ],
            log.Lines);

        async Task CallAsync(int failures) => await policies.ForApp("orders", "pay")!.ExecuteAsync(
            _ => failures-- > 0 ? throw new InvalidOperationException("down") : ValueTask.CompletedTask, Cancellation);
    }

    public static TheoryData<string, bool> DefaultNames => new()
    {
        { "DefaultPubsubComponentInboundRetryPolicy", true },
        { "DefaultComponentInboundRetryPolicy", true },
        { "DefaultComponentRetryPolicy", true },
        { "DefaultRetryPolicy", true },
        { "DefaultComponentOutboundRetryPolicy", false },
        { "DefaultStatestoreComponentInboundRetryPolicy", false },
        { "DefaultAppRetryPolicy", false },
    };

    [Theory]
    [MemberData(nameof(DefaultNames))]
    public void A_policy_with_a_default_name_needs_no_target(string name, bool applies)
    {
        var policies = new ResiliencyPolicies([Resource(retries: Retries((name, Constant(3))))], _time);

        Assert.Equal(applies, policies.ForComponentInbound("pubsub", ComponentKind.Pubsub) is not null);
    }

    [Fact]
    public async Task Of_two_default_names_the_more_specific_one_counts()
    {
        var policies = new ResiliencyPolicies(
            [Resource(retries: Retries(("DefaultRetryPolicy", Constant(5)), ("DefaultAppRetryPolicy", Constant(1))))], _time);

        Assert.Equal(2, await CountAttempts(policies, () => throw new InvalidOperationException("always")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public async Task A_built_in_retry_can_be_replaced_but_not_below_three_tries_which_without_end_is_too(int maxRetries)
    {
        var policies = new ResiliencyPolicies([Resource(retries: Retries(("DaprBuiltInServiceRetries", Constant(maxRetries))))], _time);
        var attempts = 0;

        await Assert.ThrowsAsync<AttemptFailedException>(async () => await policies.ForBuiltIn("DaprBuiltInServiceRetries").ExecuteAsync(
            _ => throw new AttemptFailedException("always", isFinal: ++attempts == 20),
            Cancellation));

        Assert.Equal(4, attempts);
    }

    [Fact]
    public async Task A_target_may_name_a_built_in_retry_without_a_policy_in_any_file()
    {
        var policies = new ResiliencyPolicies(
            [Resource(apps: new Dictionary<string, PolicyNames> { ["orders"] = new(null, "DaprBuiltInServiceRetries", null) })], _time);

        var counting = CountAttempts(policies, () => throw new InvalidOperationException("always"));
        while (!counting.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, Cancellation);
        }

        Assert.Equal(4, await counting);
    }

    [Theory]
    [InlineData(0, "open")]
    [InlineData(5000, "passes")]
    public async Task An_actors_breaker_is_that_of_its_type_or_its_own(int kept, string another)
    {
        var policies = ForActors(kept);

        Assert.Equal("fails", await CallAsync(policies, "1", fails: true));

        Assert.Equal("open", await CallAsync(policies, "1"));
        Assert.Equal(another, await CallAsync(policies, "2"));
    }

    [Fact]
    public async Task Of_the_breakers_of_single_actors_those_that_were_used_last_are_kept()
    {
        var policies = ForActors(kept: 2);
        foreach (var actor in new[] { "1", "2", "1", "3" })
            await CallAsync(policies, actor, fails: true);

        Assert.Equal("open", await CallAsync(policies, "1"));
        Assert.Equal("open", await CallAsync(policies, "3"));
        Assert.Equal("passes", await CallAsync(policies, "2"));
    }

    [Theory]
    [InlineData("failures > 5")]
    [InlineData("consecutiveFailures + 1")]
    public async Task A_trip_expression_that_cannot_be_evaluated_never_trips(string trip)
    {
        var policies = new ResiliencyPolicies(
            [
                Resource(
                    breakers: new Dictionary<string, CircuitBreakerPolicy> { ["cb"] = Breaker(trip) },
                    actors: new Dictionary<string, PolicyNames> { ["Cart"] = new(null, null, "cb") }),
            ],
            _time);

        for (var call = 0; call < 10; call++)
            Assert.Equal("fails", await CallAsync(policies, "1", fails: true));
    }

    [Theory]
    [InlineData("pay", "pay", "open")]
    [InlineData("pay", "ship", "passes")]
    public async Task Each_method_of_an_app_has_a_breaker_that_streams_share(string broken, string next, string expected)
    {
        var policies = new ResiliencyPolicies(
            [
                Resource(
                    breakers: new Dictionary<string, CircuitBreakerPolicy> { ["cb"] = Breaker("consecutiveFailures >= 1") },
                    apps: new Dictionary<string, PolicyNames> { ["orders"] = new(null, null, "cb") }),
            ],
            _time);
        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await policies.ForApp("orders", broken)!.ExecuteAsync(_ => throw new InvalidOperationException("fails"), Cancellation));

        var outcome = "passes";
        try
        {
            await policies.ForStreamToApp("orders", next)!.ExecuteAsync(_ => ValueTask.CompletedTask, Cancellation);
        }
        catch (CircuitBreakerOpenException)
        {
            outcome = "open";
        }

        Assert.Equal(expected, outcome);
    }

    [Fact]
    public async Task Of_the_breakers_of_an_app_those_that_were_used_last_are_kept()
    {
        var policies = new ResiliencyPolicies(
            [
                Resource(
                    breakers: new Dictionary<string, CircuitBreakerPolicy> { ["cb"] = Breaker("consecutiveFailures >= 1") },
                    apps: new Dictionary<string, PolicyNames> { ["orders"] = new(null, null, "cb") { BreakersKept = 1 } }),
            ],
            _time);
        foreach (var method in new[] { "pay", "ship" })
        {
            await Assert.ThrowsAsync<InvalidOperationException>(
                async () => await policies.ForApp("orders", method)!.ExecuteAsync(_ => throw new InvalidOperationException("fails"), Cancellation));
        }

        await policies.ForApp("orders", "pay")!.ExecuteAsync(_ => ValueTask.CompletedTask, Cancellation);
    }

    internal static CircuitBreakerPolicy Breaker(string trip) => new(1, TimeSpan.Zero, TimeSpan.FromSeconds(10), trip);

    private static RetryPolicy Constant(int maxRetries) => new(RetryPolicyKind.Constant, TimeSpan.Zero, TimeSpan.FromMinutes(1), maxRetries, [], []);

    private static Dictionary<string, RetryPolicy> Retries(params (string Name, RetryPolicy Policy)[] retries) => retries.ToDictionary(one => one.Name, one => one.Policy);

    private static ResiliencyResource Resource(
        Dictionary<string, TimeSpan>? timeouts = null,
        Dictionary<string, RetryPolicy>? retries = null,
        Dictionary<string, CircuitBreakerPolicy>? breakers = null,
        Dictionary<string, PolicyNames>? apps = null,
        Dictionary<string, PolicyNames>? actors = null) => new(
            "r",
            timeouts ?? [],
            retries ?? [],
            breakers ?? [],
            apps ?? [],
            actors ?? [],
            new Dictionary<string, ComponentPolicyNames>(),
            [],
            new("resiliency.yaml", 7));

    private static HttpResponseMessage Answer(string outcome) => outcome.Split(' ') switch
    {
        ["http", var status] => new((HttpStatusCode)int.Parse(status)),
        ["failed", var status] => throw new AttemptFailedException("failed", int.Parse(status)),
        ["etag"] => throw new StateStoreException(StateFailure.ETagMismatch, "stale"),
        ["breaker"] => throw new CircuitBreakerOpenException("circuit breaker is open"),
        _ => throw new InvalidOperationException("failed"),
    };

    private static async Task<int> CountAttempts(ResiliencyPolicies policies, Func<HttpResponseMessage> attempt)
    {
        var attempts = 0;
        async ValueTask<HttpResponseMessage> One()
        {
            attempts++;
            await Task.Yield();
            return attempt();
        }

        try
        {
            using var _ = policies.ForApp("orders", "pay") is { } pipeline ? await pipeline.ExecuteAsync(_ => One(), Cancellation) : await One();
        }
        catch (Exception error) when (error is InvalidOperationException or AttemptFailedException or StateStoreException or CircuitBreakerOpenException)
        {
            Assert.True(attempts > 0);
        }

        return attempts;
    }

    private static async Task<string> CallAsync(ResiliencyPolicies policies, string actor, bool fails = false)
    {
        try
        {
            await policies.ForActor("Cart", actor)!.ExecuteAsync(_ => fails ? throw new InvalidOperationException("fails") : ValueTask.CompletedTask, Cancellation);
            return "passes";
        }
        catch (InvalidOperationException)
        {
            return "fails";
        }
        catch (CircuitBreakerOpenException)
        {
            return "open";
        }
    }

    private ResiliencyPolicies ForActors(int kept) => new(
        [
            Resource(
                breakers: new Dictionary<string, CircuitBreakerPolicy> { ["cb"] = Breaker("consecutiveFailures >= 1") },
                actors: new Dictionary<string, PolicyNames> { ["Cart"] = new(null, null, "cb") { BreakersKept = kept } }),
        ],
        _time);

    private ResiliencyPolicies ForApp(RetryPolicy retry) => new(
        [Resource(retries: Retries(("r", retry)), apps: new Dictionary<string, PolicyNames> { ["orders"] = new(null, "r", null) })], _time);
}
