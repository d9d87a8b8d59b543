using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Resiliency;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Resiliency;

public sealed class CircuitBreakerTests
{
    private readonly FakeTimeProvider _time = new();

    /// <summary>s: a success, f: a failure, r: refused, w: the timeout passes.</summary>
    [Theory]
    [InlineData("consecutiveFailures >= 2", "ffrr")]
    [InlineData("consecutiveFailures >= 2", "fsfsff r")]
    [InlineData("consecutiveFailures >= 2", "ff r w s s f f r")]
    [InlineData("consecutiveFailures >= 2", "ff r w f r r w s f f r")]
    [InlineData("totalFailures > 2", "fsfsf r")]
    [InlineData("requests >= 4 && totalFailures * 2 >= requests", "fff f r")]
    [InlineData("consecutiveFailures > 5", "ffffff r")]
    public void Opens_by_its_expression_and_tries_again_after_its_timeout(string trip, string story)
    {
        var breaker = Create(trip);
        foreach (var step in story.Where(step => step != ' '))
        {
            if (step == 'w')
                _time.Advance(TimeSpan.FromSeconds(10));
            else if (step == 'r')
                Assert.Equal("circuit breaker is open", Assert.Throws<CircuitBreakerOpenException>(() => breaker.Enter()).Message);
            else
                breaker.Report(breaker.Enter(), failed: step == 'f');
        }
    }

    [Fact]
    public void Half_open_lets_no_more_trials_through_than_it_may()
    {
        var breaker = Create("consecutiveFailures >= 1");
        breaker.Report(breaker.Enter(), failed: true);
        _time.Advance(TimeSpan.FromSeconds(10));

        var trial = breaker.Enter();
        Assert.Equal("too many requests", Assert.Throws<CircuitBreakerOpenException>(() => breaker.Enter()).Message);
        breaker.Report(trial, failed: false);
        breaker.Enter();
    }

    [Fact]
    public void An_answer_from_before_it_opened_says_nothing_about_now()
    {
        var breaker = Create("consecutiveFailures >= 1");
        var slow = breaker.Enter();
        breaker.Report(breaker.Enter(), failed: true);
        _time.Advance(TimeSpan.FromSeconds(10));
        var trial = breaker.Enter();

        breaker.Report(slow, failed: true);
        breaker.Report(trial, failed: false);

        breaker.Enter();
    }

    [Fact]
    public void The_interval_clears_the_counts_while_it_is_closed()
    {
        var breaker = new CircuitBreaker(
            new(1, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10), ""), CelExpression.Parse("totalFailures >= 2", default), _time);
        breaker.Report(breaker.Enter(), failed: true);
        _time.Advance(TimeSpan.FromSeconds(5));
        breaker.Report(breaker.Enter(), failed: true);

        breaker.Report(breaker.Enter(), failed: true);
        Assert.Throws<CircuitBreakerOpenException>(() => breaker.Enter());
    }

    private CircuitBreaker Create(string trip) => new(ResiliencyPoliciesTests.Breaker(trip), CelExpression.Parse(trip, default), _time);
}
