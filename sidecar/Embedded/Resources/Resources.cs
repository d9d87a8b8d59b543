namespace EmbeddedSidecar.Resources;

/// <summary>The <c>scopes</c> of a resource: the ids of the applications that it is for.</summary>
internal static class ScopeList
{
    /// <summary>None means every application.</summary>
    public static bool Include(this IReadOnlyList<string> scopes, string appId) => scopes.Count == 0 || scopes.Contains(appId);
}

/// <summary>Everything that the files of one or more resources folders declare.</summary>
internal sealed record ResourceSet(
    IReadOnlyList<ComponentResource> Components,
    IReadOnlyList<SubscriptionResource> Subscriptions,
    IReadOnlyList<ResiliencyResource> Resiliencies,
    IReadOnlyList<HttpEndpointResource> HttpEndpoints)
{
    public static ResourceSet Empty { get; } = new([], [], [], []);

    /// <summary>What Dapr passes over or does without in these files.</summary>
    public IReadOnlyList<ResourceError> Warnings { get; init; } = [];

    /// <summary>What Dapr passes over because it cannot be read; told among the warnings, too.</summary>
    public IReadOnlyList<ResourceError> Unreadable { get; init; } = [];

    /// <summary>What an application gets of it, and what is told of that.</summary>
    /// <exception cref="ResourceException">It keeps the application's Dapr from starting.</exception>
    public ResourceSet For(SidecarOptions app)
    {
        var errors = new List<ResourceError>();
        var own = ResourceChecks.For(this, app.AppId, app.Namespace, errors);
        ResourceException.ThrowIfAny(errors);
        return own with { Warnings = [.. Warnings, .. errors] };
    }

    public ResourceSet With(ResourceSet more) => new(
        [.. Components, .. more.Components],
        [.. Subscriptions, .. more.Subscriptions],
        [.. Resiliencies, .. more.Resiliencies],
        [.. HttpEndpoints, .. more.HttpEndpoints])
    {
        Warnings = [.. Warnings, .. more.Warnings],
        Unreadable = [.. Unreadable, .. more.Unreadable],
    };
}

/// <summary>A file's reference to a secret; resolved by the secret store named in the component's <c>auth.secretStore</c>.</summary>
internal sealed record SecretKeyRef(string Name, string Key);

/// <summary>One metadata field. Exactly one of the three sources is set; a plain value is never null.</summary>
internal sealed record MetadataItem(string Name, string? Value, SecretKeyRef? Secret, string? EnvironmentVariable, SourceLocation Location);

internal sealed record ComponentResource(
    string Name,
    string Type,
    string Version,
    IReadOnlyList<MetadataItem> Metadata,
    bool IgnoreErrors,
    TimeSpan? InitTimeout,
    string? SecretStore,
    IReadOnlyList<string> Scopes,
    SourceLocation Location)
{
    /// <summary>Empty where nothing is said.</summary>
    public string Namespace { get; init; } = "";

    public SourceLocation NameLocation { get => field == default ? Location : field; init; }

    public SourceLocation TypeLocation { get => field == default ? Location : field; init; }

    public SourceLocation SecretStoreLocation { get => field == default ? Location : field; init; }
}

/// <summary>One CEL rule; an empty match is the default rule. Where it stands is no part of what it says.</summary>
internal sealed record RouteRule(string Match, string Path)
{
    public SourceLocation Location { get; init; }

    public bool Equals(RouteRule? other) => other is not null && (Match, Path) == (other.Match, other.Path);

    public override int GetHashCode() => HashCode.Combine(Match, Path);
}

/// <summary>The defaults are those of pkg/runtime/pubsub/bulk_subscriber.go.</summary>
internal sealed record BulkSubscribe(bool Enabled, int MaxMessagesCount, int MaxAwaitDurationMs)
{
    public const int DefaultMaxMessagesCount = 100;
    public const int DefaultMaxAwaitDurationMs = 1000;
}

/// <summary>A subscription, declared by a file or by the application (pkg/runtime/pubsub/subscriptions.go).</summary>
internal sealed record SubscriptionResource(
    string Name,
    string PubSubName,
    string Topic,
    IReadOnlyList<RouteRule> Rules,
    string? DeadLetterTopic,
    IReadOnlyDictionary<string, string> Metadata,
    BulkSubscribe? Bulk,
    IReadOnlyList<string> Scopes,
    SourceLocation Location)
{
    public SourceLocation NameLocation { get => field == default ? Location : field; init; }

    public SourceLocation PubSubLocation { get => field == default ? Location : field; init; }

    public SourceLocation TopicLocation { get => field == default ? Location : field; init; }
}

internal enum RetryPolicyKind
{
    Constant,
    Exponential,
}

/// <summary>
/// <c>Duration</c> is the interval of a constant policy; an exponential one starts at 500 ms whatever it says (kit/retry).
/// <c>MaxRetries</c> -1 means for ever. Codes as ranges, both ends included; empty means every code.
/// </summary>
internal sealed record RetryPolicy(
    RetryPolicyKind Kind,
    TimeSpan Duration,
    TimeSpan MaxInterval,
    int MaxRetries,
    IReadOnlyList<(int From, int To)> HttpStatusCodes,
    IReadOnlyList<(int From, int To)> GrpcStatusCodes);

/// <summary><c>Trip</c> is the CEL text; dapr's default is <c>consecutiveFailures &gt; 5</c>.</summary>
internal sealed record CircuitBreakerPolicy(int MaxRequests, TimeSpan Interval, TimeSpan Timeout, string Trip)
{
    public SourceLocation TripLocation { get; init; }
}

/// <summary>Names of policies; null where a target names none.</summary>
internal sealed record PolicyNames(string? Timeout, string? Retry, string? CircuitBreaker)
{
    /// <summary>
    /// Of an app, how many of its methods' breakers are kept; 0: the usual number. Of an actor type whose actors have a breaker each
    /// (circuitBreakerScope id or both), how many of those; 0: the type has one.
    /// </summary>
    public int BreakersKept { get; init; }
}

internal sealed record ComponentPolicyNames(PolicyNames? Inbound, PolicyNames? Outbound);

internal sealed record ResiliencyResource(
    string Name,
    IReadOnlyDictionary<string, TimeSpan> Timeouts,
    IReadOnlyDictionary<string, RetryPolicy> Retries,
    IReadOnlyDictionary<string, CircuitBreakerPolicy> CircuitBreakers,
    IReadOnlyDictionary<string, PolicyNames> Apps,
    IReadOnlyDictionary<string, PolicyNames> Actors,
    IReadOnlyDictionary<string, ComponentPolicyNames> Components,
    IReadOnlyList<string> Scopes,
    SourceLocation Location);

internal sealed record HttpEndpointResource(
    string Name,
    string BaseUrl,
    IReadOnlyList<MetadataItem> Headers,
    string? SecretStore,
    IReadOnlyList<string> Scopes,
    SourceLocation Location)
{
    /// <summary>Empty where nothing is said.</summary>
    public string Namespace { get; init; } = "";

    public SourceLocation NameLocation { get => field == default ? Location : field; init; }

    public SourceLocation SecretStoreLocation { get => field == default ? Location : field; init; }

    /// <summary>Something can be called there.</summary>
    public static bool IsAddress(string baseUrl) => Uri.TryCreate(baseUrl, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";
}

/// <summary>The sections of a Dapr Configuration that the sidecar acts on.</summary>
internal sealed record ConfigurationResource(
    string Name,
    IReadOnlyList<ApiRule> AllowedApis,
    IReadOnlyList<ApiRule> DeniedApis,
    IReadOnlyList<string> EnabledFeatures,
    IReadOnlyList<SecretScope> SecretScopes,
    TracingSettings Tracing,
    SourceLocation Location)
{
    /// <summary>The feature by which changes of files are followed; on, unless it is disabled.</summary>
    public const string HotReload = "HotReload";

    /// <summary>For those that are on by themselves.</summary>
    public IReadOnlyList<string> DisabledFeatures { get; init; } = [];

    /// <summary>What happens is told at the port of the metrics, which else is there and says nothing.</summary>
    public bool AreMetricsEnabled { get; init; } = true;

    /// <summary>Null where everybody may call everything.</summary>
    public AccessControl? AccessControl { get; init; }

    public static ConfigurationResource Default { get; } = new("", [], [], [], [], new(), default);

    /// <summary>What Dapr passes over in its file, and what Dapr would act on and this sidecar does not.</summary>
    public IReadOnlyList<ResourceError> Warnings { get; init; } = [];
}

/// <summary>For instance name <c>state</c>, version <c>v1</c>, protocol <c>http</c> or <c>grpc</c>; empty where the file says nothing.</summary>
internal sealed record ApiRule(string Name, string Version, string Protocol);

internal sealed record SecretScope(string StoreName, string DefaultAccess, IReadOnlyList<string> AllowedSecrets, IReadOnlyList<string> DeniedSecrets);

/// <summary>Who may call what of an application (dapr pkg/acl).</summary>
/// <param name="Allows">Calls for which no policy is there.</param>
/// <param name="TrustDomain">The application's own, when it calls.</param>
/// <param name="Policies">By caller.</param>
internal sealed record AccessControl(bool Allows, string TrustDomain, IReadOnlyList<AccessPolicy> Policies)
{
    public const string DefaultTrustDomain = "public";
}

/// <param name="AppId">Of the caller, as namespace and trust domain are.</param>
/// <param name="Allows">Calls of it for which no operation is there; null: as those of everybody.</param>
internal sealed record AccessPolicy(string AppId, string TrustDomain, string Namespace, bool? Allows, IReadOnlyList<AccessOperation> Operations);

/// <param name="Name">A path, with stars, or the full name of a gRPC method.</param>
/// <param name="Verbs">Of HTTP.</param>
/// <param name="Allows">Refuses otherwise.</param>
internal sealed record AccessOperation(string Name, IReadOnlyList<string> Verbs, bool Allows)
{
    public const string AnyVerb = "*";

    public SourceLocation Location { get; init; }
}

/// <param name="SamplingRate">Of the traces that begin in the sidecar, from 0 to 1; null where nothing is said.</param>
/// <param name="Stdout">Spans are logged.</param>
/// <param name="Zipkin">Where the API v2 of a Zipkin server takes spans.</param>
/// <param name="Otel">A collector of OpenTelemetry.</param>
internal sealed record TracingSettings(double? SamplingRate = null, bool Stdout = false, Uri? Zipkin = null, OtelSettings? Otel = null)
{
    /// <summary>daprd's, where the file says nothing, or nothing of use.</summary>
    public const double DefaultRate = 1e-4;

    /// <summary>At a rate of 0 daprd has no tracing at all, whoever began the trace.</summary>
    public bool IsOn => SamplingRate != 0;

    /// <summary>Some spans go somewhere.</summary>
    public bool IsExported => Stdout || Zipkin is not null || Otel is not null;

    /// <summary>How many of the traces that begin here are said to be sampled. Where nothing is said and nothing exported, a daprd begins none: whoever goes on with it may keep it.</summary>
    public double RateOfNew => SamplingRate ?? (IsExported ? DefaultRate : 1);
}

/// <param name="Address">With the path, where it is for HTTP.</param>
/// <param name="IsHttp">Not gRPC.</param>
/// <param name="Headers">Of each request to it.</param>
/// <param name="Timeout">Of a request.</param>
internal sealed record OtelSettings(Uri Address, bool IsHttp, IReadOnlyList<(string Name, string Value)> Headers, TimeSpan? Timeout);
