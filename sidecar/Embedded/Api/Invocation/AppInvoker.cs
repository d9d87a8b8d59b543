using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Text;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using EmbeddedSidecar.Tracing;
using Polly;
using Polly.Timeout;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Where a call goes: the invoker to use, the base address, and what to add to the headers.</summary>
internal sealed record InvocationRoute(
    string Id, HttpMessageInvoker Invoker, string BaseAddress, IReadOnlyList<KeyValuePair<string, string>> AddedHeaders, AppChannel? App, bool IsOwnApp)
{
    /// <summary>Between two daprd there would be a call of gRPC.</summary>
    public bool IsRemote => App is not null && !IsOwnApp;

    /// <summary>It goes to an HTTPEndpoint.</summary>
    public bool IsEndpoint { get; init; }

    /// <summary>Of the other sidecar, where it makes spans.</summary>
    public SidecarTracing? Tracing { get; init; }

    /// <summary>Of the called side's sidecar; null where it lets everything through.</summary>
    public AccessControlList? AccessControl { get; init; }

    /// <summary>As the called side sees it; null where it is its own application, and no other sidecar is in between.</summary>
    public CallerIdentity? Caller { get; init; }

    /// <summary>The called side is asked for its health (appHealthCheck), and takes no calls while it is ill.</summary>
    public bool AsksHealth { get; init; }

    /// <summary>As the sidecars' counts call the called side.</summary>
    public string Destination { get; init; } = Id;

    /// <summary>Of the caller's sidecar; null where it calls its own application, which daprd does not count.</summary>
    public SidecarMetrics? Sender { get; init; }

    /// <summary>Of the called side's sidecar; null where there is none.</summary>
    public SidecarMetrics? Receiver { get; init; }

    /// <summary>To send a request of HTTP by: what the called side refuses is to policies a failure as any other, and is decided, and counted, at each attempt.</summary>
    public HttpMessageInvoker InvokerFor(string method, HttpMethod verb) => Sender is not null || AsksHealth
        ? new(new Gate(() => BeginAttempt(method, verb) is { } refusal ? throw refusal : null, Invoker))
        : Invoker;

    /// <summary>Counts an attempt on both sides, as daprd (pkg/messaging, pkg/api/grpc/daprinternal.go): what the called side refuses it has not received.</summary>
    /// <returns>Why it is refused; null where it may be made.</returns>
    public ApiException? BeginAttempt(string method, HttpMethod verb)
    {
        var refusal = Refusal(method, verb);
        Sender?.InvocationSent(Destination, isStream: false);
        if (refusal is null && Caller is { } caller)
            Receiver?.InvocationReceived(caller.AppId);
        return refusal;
    }

    /// <summary>Why the called side's sidecar does not let the call through; null where it does. In the order of daprd's: what may not be called tells nothing of its health.</summary>
    private ApiException? Refusal(string method, HttpMethod verb)
    {
        if (IsRemote && AccessControl?.Refusal(Caller, AppInvoker.Normalized(this, method), verb.Method) is { } refusal)
            return AppInvoker.Failed(Id, $"rpc error: code = PermissionDenied desc = {refusal}", StatusCodes.Status403Forbidden);
        return AsksHealth && App is { IsHealthy: false } ? AppInvoker.Failed(Id, Word("rpc error: code = Internal desc = app is not in a healthy state")) : null;
    }

    /// <summary>The span of the other sidecar, a child of this one's: daprd would have called it over gRPC. Attempts are not told from each other.</summary>
    public Span? StartServing(string method, string parent) => Tracing?.Start($"CallLocal/{Id.Split('.')[0]}/{method}", ActivityKind.Server, parent)
        .With("rpc.service", "ServiceInvocation").With("dapr.invoke_method", method)
        .With("dapr.protocol", "grpc").With("dapr.api", "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream");

    /// <summary>For an error of the called side: daprd's sidecars talk gRPC to each other.</summary>
    public string Word(string error) => IsRemote ? $"rpc error: code = Internal desc = error invoking app channel: {error}" : error;
}

/// <summary>Service invocation as one sidecar does it: finds the called side, and applies the policies of its target (dapr pkg/messaging).</summary>
internal sealed class AppInvoker(SidecarRuntime runtime)
{
    /// <summary>For HTTPEndpoints and base URLs; they are outside of Dapr.</summary>
    private static readonly HttpMessageInvoker Outside = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ActivityHeadersPropagator = null,
        RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
    });

    /// <summary>.NET would take a backslash for a slash.</summary>
    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    private readonly SidecarOptions _options = runtime.Options;
    private int _turn;

    /// <exception cref="ApiException">Nobody is there.</exception>
    public async ValueTask<InvocationRoute> RouteAsync(string id, CancellationToken cancellationToken)
    {
        if (id.StartsWith("http:/", StringComparison.Ordinal) || id.StartsWith("https:/", StringComparison.Ordinal))
            return new(id, ToOutside(id), BaseUrl(id), [], App: null, IsOwnApp: false) { Sender = runtime.Metrics };
        if (EndpointOf(id) is { } endpoint)
        {
            return new(id, ToOutside(id), endpoint.BaseUrl.TrimEnd('/'), await HeadersAsync(endpoint, cancellationToken), App: null, IsOwnApp: false)
            {
                Sender = runtime.Metrics,
                IsEndpoint = true,
            };
        }

        var (appId, appNamespace) = !id.Contains('.', StringComparison.Ordinal) ? (id, _options.Namespace) : id.Split('.') switch
        {
            [var app, var other] => (app, other),
            _ => throw Failed(id, $"invalid app id {id}"),
        };
        if (appId == _options.AppId && appNamespace == _options.Namespace)
        {
            return runtime.App is { } own
                ? Route(id, own, replica: null)
                : throw Failed(id, "cannot invoke local endpoint: app channel not initialized");
        }

        var replicas = runtime.Shared.Apps.Find(appId);
        if (replicas.IsEmpty || appNamespace != replicas[0].Options.Namespace)
            throw Failed(id, "no host found with the given ID");
        var replica = Choose(replicas);
        if (replica.App is not { } channel)
            throw Failed(id, "rpc error: code = Internal desc = app channel is not initialized");
        return Route(id, channel, replica);
    }

    private HttpMessageInvoker ToOutside(string id) =>
        runtime.Shared.BeforeCall is { } before ? new(new ShownRequests(before, _options.AppId, id, Outside), disposeHandler: false) : Outside;

    private HttpEndpointResource? EndpointOf(string id)
    {
        foreach (var endpoint in runtime.Loaded.Declared.HttpEndpoints)
        {
            if (endpoint.Name == id)
                return endpoint;
        }

        return null;
    }

    /// <summary>The policies of the target; null when there are none. A body of unknown length is not kept, so it cannot be sent twice.</summary>
    public ResiliencePipeline? Policy(InvocationRoute route, string method, bool streaming)
    {
        // An HTTPEndpoint has one breaker, and not one for each of its methods.
        var part = route.IsEndpoint ? "" : method;
        return streaming ? runtime.Resiliency.ForStreamToApp(route.Id, part) : runtime.Resiliency.ForApp(route.Id, part);
    }

    /// <summary>Describes a failed attempt as daprd does; null for what is not known here.</summary>
    public static ApiException? Describe(InvocationRoute route, HttpMethod method, Uri address, Exception? exception) => exception switch
    {
        TimeoutRejectedException => Failed(route.Id, "context deadline exceeded"),
        CircuitBreakerOpenException open => Failed(route.Id, open.Message),
        HttpRequestException error => Failed(route.Id, route.Word(GoNetworkError.Of(method, address, error))),
        IOException error => Failed(route.Id, route.Word($"{method.Method} \"{GoNetworkError.WithoutPassword(address)}\": {error.Message}")),
        _ => null,
    };

    /// <exception cref="ApiException">The path cannot be sent, with daprd's text.</exception>
    public static Uri Address(InvocationRoute route, HttpMethod verb, string method, string query)
    {
        var path = Normalized(route, method);
        if (route.IsEndpoint && !HttpEndpointResource.IsAddress(route.BaseAddress))
            throw Failed(route.Id, GoNetworkError.OfScheme(verb, $"{route.BaseAddress}/{path}{query}"));
        if (InvocationTarget.InvalidEscape(path) is { } bad)
            throw Failed(route.Id, route.Word($"parse \"{route.BaseAddress}/{path}\": invalid URL escape {GoText.Quote(bad)}"));
        return new Uri($"{route.BaseAddress}/{InvocationTarget.Escape(path)}{query}", AsWritten);
    }

    /// <exception cref="ApiException">With daprd's text.</exception>
    public static string Normalized(InvocationRoute route, string method)
    {
        try
        {
            return InvocationTarget.Normalize(method);
        }
        catch (FormatException e)
        {
            throw Failed(route.Id, $"rpc error: code = InvalidArgument desc = invalid method: {e.Message}");
        }
    }

    /// <summary>Between two daprd everything but the body is text.</summary>
    public static ApiException NotUtf8(string id, string attempt) =>
        Failed(id, $"{attempt}rpc error: code = Internal desc = grpc: error while marshaling: string field contains invalid UTF-8");

    public static ApiException Failed(string id, string reason, int httpStatus = StatusCodes.Status500InternalServerError) =>
        new(httpStatus, Grpc.Core.StatusCode.Internal, "ERR_DIRECT_INVOKE", FailureOf(id) + reason);

    /// <summary>What <see cref="Failed"/> was given: to a proxied call daprd says no more.</summary>
    public static string Reason(string id, ApiException failed) => failed.Message.Replace(FailureOf(id), "", StringComparison.Ordinal);

    private static string FailureOf(string id) => $"failed to invoke, id: {id}, err: ";

    /// <summary>In turns, those first whose application was reached.</summary>
    private SidecarRuntime Choose(ImmutableArray<SidecarRuntime> replicas)
    {
        var turn = (uint)Interlocked.Increment(ref _turn);
        for (var i = 0; i < replicas.Length; i++)
        {
            var replica = replicas[(int)((turn + (uint)i) % (uint)replicas.Length)];
            if (replica.App is { IsHealthy: true })
                return replica;
        }
        return replicas[(int)(turn % (uint)replicas.Length)];
    }

    /// <param name="id">Of the application.</param>
    /// <param name="app">Its channel.</param>
    /// <param name="replica">The sidecar of another application; null for one's own.</param>
    private InvocationRoute Route(string id, AppChannel app, SidecarRuntime? replica) => new(
        id,
        app.Invoker,
        app.Authority,
        replica is null
            ? []
            :
            [
                new("Dapr-Caller-App-Id", _options.AppId),
                new("Dapr-Caller-Namespace", _options.Namespace),
                new("Dapr-Callee-App-Id", replica.Options.AppId),
                new("X-Forwarded-For", HostAddress.Ip),
                new("X-Forwarded-Host", HostAddress.Name),
                new("Forwarded", HostAddress.Forwarded),
            ],
        app,
        IsOwnApp: replica is null)
    {
        Destination = (replica ?? runtime).Options.AppId,
        Sender = replica is null ? null : runtime.Metrics,
        Receiver = replica?.Metrics,
        Tracing = replica?.Loaded.Tracing,
        AccessControl = (replica ?? runtime).Loaded.AccessControl,
        AsksHealth = (replica ?? runtime).Options.AppHealthCheck is not null,
        Caller = replica is null ? null : new(runtime.Loaded.Configuration.AccessControl?.TrustDomain ?? AccessControl.DefaultTrustDomain, _options.Namespace, _options.AppId),
    };

    private async Task<IReadOnlyList<KeyValuePair<string, string>>> HeadersAsync(HttpEndpointResource endpoint, CancellationToken cancellationToken)
    {
        var headers = new List<KeyValuePair<string, string>>();
        foreach (var header in endpoint.Headers)
            headers.Add(new(header.Name, await SecretReferences.ResolveAsync(header, endpoint.SecretStore, runtime.Loaded.Components, cancellationToken)));
        return headers;
    }

    /// <summary>A doubled slash in a path does not survive every client.</summary>
    private static string BaseUrl(string id) =>
        (id.Contains("://", StringComparison.Ordinal) ? id : id.Replace(":/", "://", StringComparison.Ordinal)).TrimEnd('/');
}
