using System.Collections.Concurrent;
using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace EmbeddedSidecar.Resiliency;

/// <summary>The kinds of component that name-based default policies tell apart (Default<i>Pubsub</i>ComponentInboundRetryPolicy).</summary>
internal enum ComponentKind
{
    Binding,
    Configuration,
    Lock,
    Pubsub,
    Secretstore,
    Statestore,
}

/// <summary>
/// What the Resiliency resources say for one sidecar, as Polly pipelines. Each question is answered with null when nothing is
/// configured, so that the caller then makes its one attempt without any cost. From the outside in: retry, breaker, timeout (of
/// each attempt). A pipeline tells failures by exceptions and by the status of an <see cref="HttpResponseMessage"/> (outside
/// 200-399); a failure with a status of another kind is thrown as <see cref="AttemptFailedException"/>. A timeout surfaces as Polly's
/// <see cref="TimeoutRejectedException"/>, an open breaker as <see cref="CircuitBreakerOpenException"/>.
/// </summary>
internal sealed class ResiliencyPolicies
{
    /// <summary>The library that daprd uses gives up an exponential retry after this long.</summary>
    private static readonly TimeSpan ExponentialRetryLimit = TimeSpan.FromMinutes(15);

    /// <summary>Of an app, where its target says nothing (pkg/resiliency, defaultEndpointCacheSize).</summary>
    private const int BreakersKeptOfApp = 100;

    private const int FewestOfBuiltIn = 3;

    private const string ActorNotFoundRetries = "DaprBuiltInActorNotFoundRetries";

    /// <summary>daprd's own, which a target may name without a policy of that name in any file.</summary>
    public static IReadOnlyDictionary<string, RetryPolicy> BuiltIn { get; } = new Dictionary<string, RetryPolicy>(StringComparer.Ordinal)
    {
        ["DaprBuiltInServiceRetries"] = BuiltInConstant(maxRetries: 3),
        ["DaprBuiltInActorRetries"] = BuiltInConstant(maxRetries: 3),
        ["DaprBuiltInActorReminderRetries"] = new(RetryPolicyKind.Exponential, TimeSpan.Zero, TimeSpan.FromSeconds(60), MaxRetries: 0, [], []),
        ["DaprBuiltInInitializationRetries"] = new(RetryPolicyKind.Exponential, TimeSpan.Zero, TimeSpan.FromSeconds(1), MaxRetries: 3, [], []),
        [ActorNotFoundRetries] = BuiltInConstant(maxRetries: 5),
    };

    private static readonly ResiliencePropertyKey<DateTimeOffset> FirstFailure = new("first failure");

    private readonly Dictionary<string, TimeSpan> _timeouts = [];
    private readonly Dictionary<string, RetryPolicy> _retries = new(BuiltIn);
    private readonly Dictionary<string, (CircuitBreakerPolicy Policy, CelExpression Trip)> _breakers = [];
    private readonly Dictionary<string, PolicyNames> _apps = [];
    private readonly Dictionary<string, PolicyNames> _actors = [];
    private readonly Dictionary<string, ComponentPolicyNames> _components = [];
    private readonly ConcurrentDictionary<(string Target, string Name), ResiliencePipeline?> _pipelines = new();
    private readonly ConcurrentDictionary<(string Policy, string Target), CircuitBreaker> _instances = new();
    private readonly ConcurrentDictionary<string, RecentlyUsed<ResiliencePipeline?>> _ofEachActor = new();
    private readonly ConcurrentDictionary<string, Func<string, (ResiliencePipeline? Whole, ResiliencePipeline? Stream)>> _ofEachApp = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <param name="resources">Those in scope of the sidecar's app. Of two policies or targets with one name the later wins, as in daprd.</param>
    /// <param name="time">Measures delays, timeouts and open breakers.</param>
    /// <param name="logger">Hears of retries and of breakers that open and close, in daprd's words.</param>
    /// <exception cref="ResourceException">What trips a breaker is no expression.</exception>
    public ResiliencyPolicies(IEnumerable<ResiliencyResource> resources, TimeProvider time, ILogger? logger = null)
    {
        (_time, _logger) = (time, logger ?? NullLogger.Instance);
        foreach (var resource in resources)
        {
            Merge(_timeouts, resource.Timeouts);
            foreach (var (name, policy) in resource.Retries.Where(one => one.Key != ActorNotFoundRetries))
                _retries[name] = BuiltIn.ContainsKey(name) && policy.MaxRetries < FewestOfBuiltIn ? policy with { MaxRetries = FewestOfBuiltIn } : policy;
            Merge(_apps, resource.Apps);
            Merge(_actors, resource.Actors);
            Merge(_components, resource.Components);
            foreach (var (name, policy) in resource.CircuitBreakers)
                _breakers[name] = (policy, CelExpression.Parse(policy.Trip, policy.TripLocation == default ? resource.Location : policy.TripLocation));
        }
    }

    /// <summary>No resource at all: every question is answered with null.</summary>
    public static ResiliencyPolicies None { get; } = new([], TimeProvider.System);

    /// <summary>Deliveries of a pub/sub component, events of an input binding.</summary>
    public ResiliencePipeline? ForComponentInbound(string name, ComponentKind kind) => _pipelines.GetOrAdd(
        ("inbound", name),
        _ => BuildForComponent(name, "input", _components.TryGetValue(name, out var target) ? target.Inbound : ComponentDefaults(kind, "Inbound")));

    /// <summary>Publishing, state, secrets, output bindings.</summary>
    public ResiliencePipeline? ForComponentOutbound(string name, ComponentKind kind) => _pipelines.GetOrAdd(
        ("outbound", name),
        _ => BuildForComponent(name, "output", _components.TryGetValue(name, out var target) ? target.Outbound : ComponentDefaults(kind, "Outbound")));

    /// <summary>Invocations of an app, and of an HTTPEndpoint by its name. Each of its methods has a breaker of its own.</summary>
    public ResiliencePipeline? ForApp(string id, string method) => _ofEachApp.GetOrAdd(id, PoliciesOfApp)(method).Whole;

    /// <summary>As <see cref="ForApp"/>, for a body that cannot be sent twice: without the retries.</summary>
    public ResiliencePipeline? ForStreamToApp(string id, string method) => _ofEachApp.GetOrAdd(id, PoliciesOfApp)(method).Stream;

    /// <summary>
    /// Around a call of an actor, before it waits for its turn: retry and breaker. The breaker is that of its type, or its own (circuitBreakerScope
    /// id and both, which daprd takes for the same).
    /// </summary>
    public ResiliencePipeline? ForActor(string type, string id)
    {
        if (_actors.TryGetValue(type, out var target) && target is { CircuitBreaker: not null, BreakersKept: > 0 })
        {
            var own = _ofEachActor.GetOrAdd(type, _ => new(target.BreakersKept));
            return own.GetOrAdd(id, () => Build($"actor[{type}, {id}]", target with { Timeout = null }, NewBreaker(target, $"{type}-{id}")));
        }

        return _pipelines.GetOrAdd(
            ("actor", type), _ => ActorNames(type) is { } names ? Build($"actor[{type}]", names with { Timeout = null }, NewBreaker(names, type)) : null);
    }

    /// <summary>Around one turn of an actor: the timeout.</summary>
    public ResiliencePipeline? ForActorTurn(string type) => _pipelines.GetOrAdd(
        ("turn", type),
        _ => ActorNames(type) is { } names ? Build($"actor[{type}]", names with { Retry = null }, breaker: null) : null);

    /// <summary>
    /// One of daprd's own retries, such as <c>DaprBuiltInServiceRetries</c>: a policy of that name in a file replaces it, with three retries where it
    /// has fewer, or is without end.
    /// </summary>
    public ResiliencePipeline ForBuiltIn(string name) => _pipelines.GetOrAdd(("built in", name), _ => Build(name, new(null, name, null), breaker: null))!;

    private static RetryPolicy BuiltInConstant(int maxRetries) => new(RetryPolicyKind.Constant, TimeSpan.FromSeconds(1), TimeSpan.Zero, maxRetries, [], []);

    private static void Merge<T>(Dictionary<string, T> all, IReadOnlyDictionary<string, T> more)
    {
        foreach (var (name, value) in more)
            all[name] = value;
    }

    private PolicyNames? AppNames(string id) => _apps.TryGetValue(id, out var names) ? names : Defaults(["App"]);

    private PolicyNames? ActorNames(string type) => _actors.TryGetValue(type, out var names) ? names : Defaults(["Actor"]);

    private PolicyNames? ComponentDefaults(ComponentKind kind, string direction) =>
        Defaults([$"{kind}Component{direction}", $"Component{direction}", "Component"]);

    /// <summary>A policy that is named Default{level}{kind}Policy needs no target; the most specific one is taken.</summary>
    private PolicyNames Defaults(string[] levels)
    {
        return new(
            First("TimeoutPolicy", _timeouts.ContainsKey),
            First("RetryPolicy", _retries.ContainsKey),
            First("CircuitBreakerPolicy", _breakers.ContainsKey));

        string? First(string suffix, Func<string, bool> exists) =>
            levels.Append("").Select(level => $"Default{level}{suffix}").FirstOrDefault(exists);
    }

    private Func<string, (ResiliencePipeline? Whole, ResiliencePipeline? Stream)> PoliciesOfApp(string id)
    {
        if (AppNames(id) is not { } names)
            return _ => default;
        if (names is { Retry: null, CircuitBreaker: null })
        {
            // Nothing of it is a method's own: calls, which ask for it each time, need not look for theirs.
            var timeout = Build(id, names, breaker: null);
            return _ => (timeout, timeout);
        }

        var ofMethods = new RecentlyUsed<(ResiliencePipeline? Whole, ResiliencePipeline? Stream)>(names.BreakersKept > 0 ? names.BreakersKept : BreakersKeptOfApp);
        return method => ofMethods.GetOrAdd(method, () =>
        {
            var endpoint = method.Length == 0 ? id : $"{id}:{method}";
            var (operation, breaker) = ($"endpoint[{id}, {endpoint}]", NewBreaker(names, endpoint));
            return (Build(operation, names, breaker), Build(operation, names with { Retry = null }, breaker));
        });
    }

    /// <summary>One breaker for what goes in and out of a component, as in daprd.</summary>
    private ResiliencePipeline? BuildForComponent(string name, string direction, PolicyNames? names) => names is null ? null : Build(
        $"component[{name}] {direction}",
        names,
        names.CircuitBreaker is { } breaker && _breakers.ContainsKey(breaker) ? _instances.GetOrAdd((breaker, name), _ => NewBreaker(names, $"{breaker}-{name}")!) : null);

    private CircuitBreaker? NewBreaker(PolicyNames names, string instance) => names.CircuitBreaker is { } breaker && _breakers.TryGetValue(breaker, out var found)
        ? new(found.Policy, found.Trip, _time, (from, to) => _logger.LogInformation("Circuit breaker \"{Breaker}\" changed state from {From} to {To}", instance, from, to))
        : null;

    private ResiliencePipeline? Build(string operation, PolicyNames names, CircuitBreaker? breaker)
    {
        var builder = new ResiliencePipelineBuilder { TimeProvider = _time };
        var empty = true;
        if (names.Retry is { } retry && _retries.TryGetValue(retry, out var retries) && retries.MaxRetries != 0)
        {
            AddRetry(builder, operation, retries);
            empty = false;
        }

        if (breaker is not null)
        {
            builder.AddStrategy(_ => new CircuitBreakerStrategy(breaker), new CircuitBreakerStrategyOptions());
            empty = false;
        }

        if (names.Timeout is { } timeout && _timeouts.TryGetValue(timeout, out var limit) && limit > TimeSpan.Zero)
        {
            builder.AddTimeout(new TimeoutStrategyOptions { TimeoutGenerator = _ => ValueTask.FromResult(limit) });
            empty = false;
        }

        return empty ? null : builder.Build();
    }

    private void AddRetry(ResiliencePipelineBuilder builder, string operation, RetryPolicy policy) => builder.AddRetry(new RetryStrategyOptions
    {
        MaxRetryAttempts = policy.MaxRetries < 0 ? int.MaxValue : policy.MaxRetries,
        UseJitter = false,
        DelayGenerator = arguments => ValueTask.FromResult<TimeSpan?>(DelayBefore(policy, arguments.AttemptNumber)),
        ShouldHandle = arguments =>
        {
            var result = AttemptResult.Of(arguments.Outcome.Exception, arguments.Outcome.Result, arguments.Context);
            if (!result.Failed && arguments is { AttemptNumber: > 0, Outcome.Exception: null })
                _logger.LogInformation("Recovered processing operation {Operation} after {Attempts} attempts", operation, arguments.AttemptNumber + 1);
            return ValueTask.FromResult(result.Failed && result.Retriable && Matches(policy, result) && !TookTooLong(policy, arguments.Context));
        },
        OnRetry = arguments =>
        {
            _logger.LogWarning("Error processing operation {Operation}. Retrying in {Delay}…", operation, GoDuration.Format(arguments.RetryDelay));
            return default;
        },
    });

    private bool TookTooLong(RetryPolicy policy, ResilienceContext context)
    {
        if (policy.Kind == RetryPolicyKind.Constant)
            return false;

        var now = _time.GetUtcNow();
        if (!context.Properties.TryGetValue(FirstFailure, out var first))
            context.Properties.Set(FirstFailure, first = now);
        return now - first > ExponentialRetryLimit;
    }

    private static bool Matches(RetryPolicy policy, AttemptResult result)
    {
        if (result.HttpStatus is { } http && policy.HttpStatusCodes.Count > 0)
            return policy.HttpStatusCodes.Any(range => http >= range.From && http <= range.To);
        if (result.GrpcStatus is { } grpc && policy.GrpcStatusCodes.Count > 0)
            return policy.GrpcStatusCodes.Any(range => (int)grpc >= range.From && (int)grpc <= range.To);
        return true;
    }

    /// <summary>Exponential: 500 ms times 1.5 for each attempt before, half of it up or down by chance.</summary>
    private static TimeSpan DelayBefore(RetryPolicy policy, int attempt)
    {
        if (policy.Kind == RetryPolicyKind.Constant)
            return policy.Duration;

        var delay = Math.Min(500 * Math.Pow(1.5, attempt), policy.MaxInterval.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(delay * (0.5 + Random.Shared.NextDouble()));
    }

    private sealed class CircuitBreakerStrategyOptions : ResilienceStrategyOptions;
}
