using System.Text.Json;
using Dapr.Client;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace DaprOrders.ServiceDefaults.Health;

public static class Readiness
{
    internal const string SidecarClient = "dapr-sidecar";

    private const string Deliveries = "deliveries";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static void AddReadiness(this WebApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        builder.Services.AddHttpClient(SidecarClient, client =>
        {
            client.BaseAddress = new Uri(configuration["DAPR_HTTP_ENDPOINT"] is { Length: > 0 } endpoint
                ? endpoint
                : $"http://localhost:{configuration["DAPR_HTTP_PORT"] ?? "3500"}");
            if (configuration["DAPR_API_TOKEN"] is { Length: > 0 } token)
                client.DefaultRequestHeaders.Add("dapr-api-token", token);
        });
        builder.Services.AddHealthChecks()
            .AddCheck<SidecarIsReady>("sidecar", timeout: Patience)
            .AddCheck<TopicsAreSubscribed>("subscriptions", timeout: Patience)
            .AddCheck<StoreAnswers>("store", tags: [Deliveries])
            .AddCheck<EventStoreTakesCommands>("event-store", tags: [Deliveries])
            .AddCheck<EventsArePublished>("publication")
            .AddCheck<LogsAreFollowed>("catch-up");
    }

    /// <summary>For what has a sidecar and neither a store nor topics: it is ready when others can be called by it.</summary>
    public static void AddSidecarReadiness(this WebApplicationBuilder builder)
    {
        builder.Services.AddDaprClient();
        builder.Services.AddHealthChecks().AddCheck<SidecarIsReady>("sidecar", timeout: Patience);
    }

    /// <summary>
    /// /healthz/live is the process alone. /healthz/deliveries, for daprd's probe (appHealthCheckPath), fails while the store is away: messages
    /// then wait in the broker instead of using up their retries. /healthz/ready says whether the service can do all of its work.
    /// </summary>
    public static void MapHealth(this WebApplication app)
    {
        app.MapHealthChecks("/healthz/live", new HealthCheckOptions { Predicate = _ => false, ResponseWriter = WriteAsync }).AllowAnonymous();
        app.MapHealthChecks("/healthz/deliveries", new HealthCheckOptions { Predicate = check => check.Tags.Contains(Deliveries), ResponseWriter = WriteAsync }).AllowAnonymous();
        app.MapHealthChecks("/healthz/ready", new HealthCheckOptions { ResponseWriter = WriteAsync }).AllowAnonymous();
    }

    /// <summary>For instance <c>{"status":"Unhealthy","checks":{"sidecar":{"status":"Unhealthy","reason":"..."}}}</c>.</summary>
    private static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(new
    {
        Status = report.Status.ToString(),
        Checks = report.Entries.ToDictionary(
            entry => entry.Key,
            entry => new { Status = entry.Value.Status.ToString(), Reason = entry.Value.Description ?? entry.Value.Exception?.Message }),
    });
}

/// <summary>The sidecar has its components and can be called.</summary>
internal sealed class SidecarIsReady(DaprClient dapr) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        await dapr.CheckOutboundHealthAsync(cancellationToken)
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy("The Dapr sidecar does not answer /v1.0/healthz/outbound with success.");
}

/// <summary>The sidecar has subscribed every topic that this service handles.</summary>
internal sealed class TopicsAreSubscribed(IHttpClientFactory clients, TopicRegistry topics, DaprSettings dapr) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken)
    {
        if (topics.Subscribed.Count == 0)
            return HealthCheckResult.Healthy();

        using var client = clients.CreateClient(Readiness.SidecarClient);
        using var metadata = JsonDocument.Parse(await client.GetByteArrayAsync("/v1.0/metadata", cancellationToken));
        var missing = topics.Subscribed.Except(Subscribed(metadata.RootElement)).ToList();
        return missing.Count == 0
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy(
                $"The sidecar has no subscription of {string.Join(", ", missing)} on {dapr.PubSub} for {dapr.AppId} (yet); see its log, and the scopes in subscriptions.yaml.");
    }

    private IEnumerable<string?> Subscribed(JsonElement metadata) =>
        metadata.TryGetProperty("subscriptions", out var subscriptions) && subscriptions.ValueKind == JsonValueKind.Array
            ? subscriptions.EnumerateArray()
                .Where(subscription => subscription.GetProperty("pubsubname").GetString() == dapr.PubSub)
                .Select(subscription => subscription.GetProperty("topic").GetString())
            : [];
}

/// <summary>The event store, where the service has one, owns a lane to write to.</summary>
internal sealed class EventStoreTakesCommands(IServiceProvider services) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult(services.GetService<EventStore>() switch
        {
            { Loss: { } loss } => HealthCheckResult.Unhealthy(
                $"The state store went back in time, noticed at {loss.NoticedAt:u} by {loss.NoticedBy}; GET /event-log says what is lost. "
                + (loss.DeclaredAt is null
                    ? "Nothing is read or written until an operator declares by POST /event-log/recovery that work goes on without it."
                    : "The recovery is declared and goes on.")),
            { Ready.IsCompletedSuccessfully: false } => HealthCheckResult.Unhealthy("The event store has no lane to write to yet; see the service's log."),
            _ => HealthCheckResult.Healthy(),
        });
}

/// <summary>The broker takes every event. While it refuses single ones the service is ready all the same: consumers have them from the event log.</summary>
internal sealed class EventsArePublished(IServiceProvider services) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult(services.GetService<EventStore>() is { ParkedCount: > 0 and var parked }
            ? HealthCheckResult.Degraded($"{parked} events are parked, since the broker refuses them: GET /event-log/parked says which and why.")
            : HealthCheckResult.Healthy());
}

/// <summary>
/// The state store answers a read, in less time than daprd gives its probe (appHealthProbeTimeout), and no write that was tried is held up, as
/// when its disk is full.
/// </summary>
internal sealed class StoreAnswers(Documents documents, FailureLog failures, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(900);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken)
    {
        if (failures.IsHeldUp)
            return HealthCheckResult.Unhealthy("The state store takes no writes; see the sidecar's log.");

        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await documents.ReadAsync<object>("health", either.Token).WaitAsync(either.Token);
            return HealthCheckResult.Healthy();
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy("The state store does not answer a read; see the sidecar's log.");
        }
    }
}

/// <summary>What topics lose is found in the publishers' logs. While that cannot be, or must do all the work, the service works on: degraded.</summary>
internal sealed class LogsAreFollowed(FollowingPublishers following) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult(following.Warnings is { Count: > 0 } warnings ? HealthCheckResult.Degraded(string.Join(" ", warnings)) : HealthCheckResult.Healthy());
}
