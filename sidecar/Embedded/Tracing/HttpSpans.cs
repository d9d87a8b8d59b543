using System.Diagnostics;
using System.Globalization;
using EmbeddedSidecar.Hosting;
using Microsoft.AspNetCore.Http.Features;

namespace EmbeddedSidecar.Tracing;

/// <summary>The spans of the HTTP API, with daprd's names and attributes (dapr pkg/diagnostics/http_tracing.go, pkg/api/http).</summary>
internal static class HttpSpans
{
    private const string OfTheUser = "dapr-";
    private const string Token = "dapr-api-token";

    /// <returns>The trace context of the call.</returns>
    public static string Begin(HttpContext context, SidecarTracing tracing)
    {
        var span = tracing.Start(context.Request.Path.Value!, ActivityKind.Client, context.Request.Headers.TraceParent);
        TraceParent.Set(context, span.TraceParent);
        context.Items[typeof(Span)] = span;
        return span.TraceParent;
    }

    /// <summary>No API, but a call of an application: whose, and what.</summary>
    public static void Invokes(HttpContext context, string appId, string method)
    {
        if (Of(context) is { IsSampled: true } span)
        {
            span.Rename($"CallLocal/{appId}/{method}");
            span.With("rpc.service", "ServiceInvocation").With("net.peer.name", appId);
            context.SetEndpoint(null);
        }
    }

    public static void End(HttpContext context)
    {
        using var span = Of(context);
        if (span is not { IsSampled: true })
            return;

        AddOfTheUser(span, context.Request.Headers);
        if (context.GetEndpoint() is RouteEndpoint route)
            Describe(span, context, route.RoutePattern.RawText!.Split('/'));
        var status = context.Response.StatusCode;
        span.With("dapr.protocol", "http")
            .With("dapr.api", Statement(context))
            .With("dapr.status_code", status.ToString(CultureInfo.InvariantCulture))
            .With("http.request.method", context.Request.Method)
            .With("url.full", context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget)
            .With("server.address", context.Connection.RemoteIpAddress?.ToString())
            .With("server.port", context.Connection.RemotePort.ToString(CultureInfo.InvariantCulture))
            .Answered(status);
    }

    /// <summary>Headers that begin with dapr- are for whoever reads the trace; a token is for nobody.</summary>
    public static void AddOfTheUser(Span span, IHeaderDictionary headers)
    {
        foreach (var (name, values) in headers)
        {
            if (name.StartsWith(OfTheUser, StringComparison.OrdinalIgnoreCase) && !name.EndsWith("-bin", StringComparison.OrdinalIgnoreCase)
                && !name.Equals(Token, StringComparison.OrdinalIgnoreCase))
                span.With(name.ToLowerInvariant(), values[^1]);
        }
    }

    private static Span? Of(HttpContext context) => context.Items.TryGetValue(typeof(Span), out var span) ? (Span?)span : null;

    private static string Statement(HttpContext context) => $"{context.Request.Method} {context.Request.Path.Value}";

    private static void Describe(Span span, HttpContext context, string[] route)
    {
        switch (route)
        {
            case [_, _, "state", ..]:
                Database(span, context, "state", Value("store"));
                break;
            case [_, _, "secrets", ..]:
                Database(span, context, "secrets", Value("store"));
                break;
            case [_, _, "bindings", ..]:
                Database(span, context, "bindings", Value("name"));
                break;
            case [_, _, "publish", ..]:
                span.With("messaging.system", "pubsub").With("messaging.destination.name", Value("topic"));
                break;
            case [_, _, "actors", _, _, var what, ..]:
                Actor(span, context, what, Value("actorType"), Value("actorId"));
                break;
        }

        string Value(string name) => context.GetRouteValue(name) as string ?? "";
    }

    private static void Database(Span span, HttpContext context, string block, string component) => span
        .With("db.system", block).With("db.connection_string", block).With("db.statement", Statement(context)).With("db.name", component);

    private static void Actor(Span span, HttpContext context, string what, string type, string id)
    {
        span.With("dapr.actor", $"{type}.{id}");
        switch (what)
        {
            case "method":
                span.Rename($"CallActor/{type}/{context.GetRouteValue("name")}");
                span.With("rpc.service", "ServiceInvocation").With("net.peer.name", $"{type}.{id}");
                break;
            case "state":
                Database(span, context, "state", "actor");
                break;
            default:
                // The path would name actor and reminder, of which there may be as many as one likes.
                var verb = HttpMethods.IsGet(context.Request.Method) ? "Get" : HttpMethods.IsDelete(context.Request.Method) ? "Unregister" : "Register";
                span.Rename($"{verb}Actor{(what == "timers" ? "Timer" : "Reminder")}/{type}");
                break;
        }
    }
}
