using System.Collections.Concurrent;
using System.Globalization;
using EmbeddedSidecar.Api.Invocation;
using Grpc.Core;
using Prometheus;

namespace EmbeddedSidecar.Metrics;

/// <summary>
/// What one application's sidecar was asked and has called, counted under the names and labels of daprd's metrics (pkg/diagnostics), so that
/// what reads the one reads the other. The one that daprd does not have is <c>dapr_component_state_items</c>.
/// </summary>
internal sealed class SidecarMetrics
{
    /// <summary>daprd's word for a job that is due, the only operation of jobs that it counts.</summary>
    private const string JobTrigger = "job_trigger_op";

    /// <summary>In milliseconds, as daprd's.</summary>
    private static readonly double[] Latencies =
    [
        1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300, 400, 500, 650, 800, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
    ];

    // Of paths and verbs there may be as many as callers invent; daprd keeps them all.
    private const int MostLabels = 200;

    private readonly string _appId;
    private readonly string? _probePath;
    private readonly ConcurrentDictionary<string, bool> _labels = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly Counter _grpcServer;
    private readonly Counter _httpServer;
    private readonly Counter _httpClient;
    private readonly Counter _healthProbes;
    private readonly Counter _state;
    private readonly Counter _stateItems;
    private readonly Counter _ingress;
    private readonly Counter _bulkIngress;
    private readonly Counter _bulkIngressEvents;
    private readonly Counter _egress;
    private readonly Counter _bulkEgress;
    private readonly Counter _bulkEgressEvents;
    private readonly Counter _inputBinding;
    private readonly Histogram _inputBindingLatencies;
    private readonly Counter _outputBinding;
    private readonly Histogram _outputBindingLatencies;
    private readonly Counter _jobSuccesses;
    private readonly Counter _jobFailures;
    private readonly Histogram _jobLatencies;
    private readonly Counter _secrets;
    private readonly Histogram _secretLatencies;
    private readonly Counter _configuration;
    private readonly Histogram _configurationLatencies;
    private readonly Counter _invocationsSent;
    private readonly Counter _invocationsReceived;
    private readonly Counter _componentsLoaded;
    private readonly Counter _componentsInitialised;
    private readonly Counter _remindersFired;
    private readonly Counter _timersFired;
    private readonly Counter _actorsDeactivated;
    private readonly Counter _allowedByPolicy;
    private readonly Counter _allowedByTable;
    private readonly Counter _blockedByPolicy;
    private readonly Counter _blockedByTable;

    /// <param name="appId">Whose sidecar it is.</param>
    /// <param name="probePath">Where the application is asked for its health, if it is.</param>
    internal SidecarMetrics(string appId, string? probePath)
    {
        (_appId, _probePath) = (appId, probePath);
        var metrics = Prometheus.Metrics.WithCustomRegistry(_registry);
        Counter Create(string name, string help, params string[] labels) => metrics.CreateCounter($"dapr_{name}", help, ["app_id", .. labels]);
        Histogram CreateLatencies(string name, string help, params string[] labels) =>
            metrics.CreateHistogram($"dapr_{name}", help, ["app_id", .. labels], new() { Buckets = Latencies });

        _grpcServer = Create("grpc_io_server_completed_rpcs", "Calls of the gRPC API", "grpc_server_method", "grpc_server_status");
        _httpServer = Create("http_server_request_count", "Requests to the HTTP API", "method", "path", "status");
        _httpClient = Create("http_client_completed_count", "Calls of the application, health probes apart", "method", "path", "status");
        _healthProbes = Create("http_healthprobes_completed_count", "Health probes of the application", "status");
        _state = Create("component_state_count", "Operations on a state store", "component", "operation", "success");
        _stateItems = Create("component_state_items", "Keys read or written by operations on a state store", "component", "operation");
        _ingress = Create("component_pubsub_ingress_count", "Events delivered one by one", "component", "topic", "process_status");
        _bulkIngress = Create("component_pubsub_ingress_bulk_count", "Bulk deliveries", "component", "topic");
        _bulkIngressEvents = Create("component_pubsub_ingress_bulk_event_count", "Events delivered in bulk", "component", "topic", "process_status");
        _egress = Create("component_pubsub_egress_count", "Events published one by one", "component", "topic", "success");
        _bulkEgress = Create("component_pubsub_egress_bulk_count", "Bulk publications", "component", "topic", "success");
        _bulkEgressEvents = Create("component_pubsub_egress_bulk_event_count", "Events published in bulk", "component", "topic", "success");
        _inputBinding = Create("component_input_binding_count", "Events of an input binding", "component", "success");
        _inputBindingLatencies = CreateLatencies("component_input_binding_latencies", "How long the application took for them, in ms", "component", "success");
        _outputBinding = Create("component_output_binding_count", "Operations of an output binding", "component", "operation", "success");
        _outputBindingLatencies = CreateLatencies("component_output_binding_latencies", "How long they took, in ms", "component", "operation", "success");
        _jobSuccesses = Create("component_job_success_count", "Jobs that the application has done", "operation");
        _jobFailures = Create("component_job_failure_count", "Jobs that the application has failed, or does not know", "operation");
        _jobLatencies = CreateLatencies("component_job_latencies", "How long the application took for them, in ms", "operation", "success");
        _secrets = Create("component_secret_count", "Operations on a secret store", "component", "operation", "success");
        _secretLatencies = CreateLatencies("component_secret_latencies", "How long they took, in ms", "component", "operation", "success");
        _configuration = Create("component_configuration_count", "Operations on a configuration store", "component", "operation", "success");
        _configurationLatencies = CreateLatencies("component_configuration_latencies", "How long they took, in ms", "component", "operation", "success");
        _invocationsSent = Create("runtime_service_invocation_req_sent_total", "Calls of other applications and of what is outside, each attempt", "dst_app_id", "type");
        _invocationsReceived = Create("runtime_service_invocation_req_recv_total", "Calls by other applications, each attempt", "src_app_id");
        _componentsLoaded = Create("runtime_component_loaded", "Components that were loaded");
        _componentsInitialised = Create("runtime_component_init_total", "Components that were initialised, by their type", "component");
        _remindersFired = Create("runtime_actor_reminders_fired_total", "Reminders that came to an actor", "actor_type", "success");
        _timersFired = Create("runtime_actor_timers_fired_total", "Timers that came to an actor", "actor_type", "success");
        _actorsDeactivated = Create("runtime_actor_deactivated_total", "Actors that were deactivated", "actor_type");
        // Here app_id is the caller, as in daprd.
        _allowedByPolicy = Create("runtime_acl_app_policy_action_allowed_total", "Calls let through, by a policy with an action of its own", "trustDomain", "namespace");
        _allowedByTable = Create("runtime_acl_global_policy_action_allowed_total", "Calls let through otherwise", "trustDomain", "namespace");
        _blockedByPolicy = Create("runtime_acl_app_policy_action_blocked_total", "Calls refused, by a policy with an action of its own", "trustDomain", "namespace");
        _blockedByTable = Create("runtime_acl_global_policy_action_blocked_total", "Calls refused otherwise", "trustDomain", "namespace");
    }

    /// <summary>All counts in Prometheus' text format.</summary>
    internal Task WriteAsync(Stream to, CancellationToken cancellationToken) => _registry.CollectAndExportAsTextAsync(to, cancellationToken);

    internal void GrpcServed(string fullName, StatusCode status) =>
        _grpcServer.WithLabels(_appId, fullName, status == StatusCode.Cancelled ? "Canceled" : status.ToString()).Inc();

    internal void HttpServed(HttpContext context) => _httpServer.WithLabels(
        _appId, Bounded(context.Request.Method), PathLabel(context.Request.Path.Value!), Number(context.Response.StatusCode)).Inc();

    internal void AppCalled(HttpRequestMessage request, int status)
    {
        var path = request.RequestUri!.AbsolutePath;
        if (path == _probePath)
            _healthProbes.WithLabels(_appId, Number(status)).Inc();
        else
            _httpClient.WithLabels(_appId, Bounded(request.Method.Method), PathLabel(path), Number(status)).Inc();
    }

    /// <param name="operation">As daprd calls it: get, bulk_get, set, delete, bulk_delete, transaction.</param>
    internal void StateUsed(string component, string operation, int items, bool success)
    {
        _state.WithLabels(_appId, component, operation, Boolean(success)).Inc();
        _stateItems.WithLabels(_appId, component, operation).Inc(items);
    }

    internal void Delivered(string component, string topic, string outcome) => _ingress.WithLabels(_appId, component, topic, outcome).Inc();

    internal void DeliveredInBulk(string component, string topic) => _bulkIngress.WithLabels(_appId, component, topic).Inc();

    internal void DeliveredInBulk(string component, string topic, string outcome, int events) =>
        _bulkIngressEvents.WithLabels(_appId, component, topic, outcome).Inc(events);

    internal void Published(string component, string topic, bool success) => _egress.WithLabels(_appId, component, topic, Boolean(success)).Inc();

    internal void PublishedInBulk(string component, string topic, bool success, int published)
    {
        _bulkEgress.WithLabels(_appId, component, topic, Boolean(success)).Inc();
        if (published > 0)
            _bulkEgressEvents.WithLabels(_appId, component, topic, Boolean(true)).Inc(published);
    }

    internal void InputBindingHandled(string component, bool success, TimeSpan duration)
    {
        _inputBinding.WithLabels(_appId, component, Boolean(success)).Inc();
        _inputBindingLatencies.WithLabels(_appId, component, Boolean(success)).Observe(duration.TotalMilliseconds);
    }

    /// <param name="component">Its name.</param>
    /// <param name="operation">Empty where it has none of that name: callers may invent as many as they like.</param>
    /// <param name="success">It failed otherwise.</param>
    /// <param name="duration">With all attempts.</param>
    internal void OutputBindingInvoked(string component, string operation, bool success, TimeSpan duration)
    {
        _outputBinding.WithLabels(_appId, component, operation, Boolean(success)).Inc();
        _outputBindingLatencies.WithLabels(_appId, component, operation, Boolean(success)).Observe(duration.TotalMilliseconds);
    }

    /// <summary>The application has answered; one that cannot be reached counts for nothing, as in daprd.</summary>
    internal void JobTriggered(bool success, TimeSpan duration)
    {
        (success ? _jobSuccesses : _jobFailures).WithLabels(_appId, JobTrigger).Inc();
        _jobLatencies.WithLabels(_appId, JobTrigger, Boolean(success)).Observe(duration.TotalMilliseconds);
    }

    /// <param name="component">The store.</param>
    /// <param name="operation">get or bulk_get.</param>
    /// <param name="success">It failed otherwise.</param>
    /// <param name="duration">With all attempts.</param>
    internal void SecretsRead(string component, string operation, bool success, TimeSpan duration)
    {
        _secrets.WithLabels(_appId, component, operation, Boolean(success)).Inc();
        _secretLatencies.WithLabels(_appId, component, operation, Boolean(success)).Observe(duration.TotalMilliseconds);
    }

    /// <param name="component">The store.</param>
    /// <param name="operation">get, subscribe or unsubscribe.</param>
    /// <param name="success">It failed otherwise.</param>
    /// <param name="duration">With all attempts.</param>
    internal void ConfigurationUsed(string component, string operation, bool success, TimeSpan duration)
    {
        _configuration.WithLabels(_appId, component, operation, Boolean(success)).Inc();
        _configurationLatencies.WithLabels(_appId, component, operation, Boolean(success)).Observe(duration.TotalMilliseconds);
    }

    internal void InvocationSent(string destination, bool isStream) => _invocationsSent.WithLabels(_appId, Bounded(destination), isStream ? "streaming" : "unary").Inc();

    internal void InvocationReceived(string source) => _invocationsReceived.WithLabels(_appId, source).Inc();

    internal void ComponentLoaded(string type)
    {
        _componentsLoaded.WithLabels(_appId).Inc();
        _componentsInitialised.WithLabels(_appId, type).Inc();
    }

    internal void ReminderFired(string actorType, bool success) => _remindersFired.WithLabels(_appId, actorType, Boolean(success)).Inc();

    internal void TimerFired(string actorType, bool success) => _timersFired.WithLabels(_appId, actorType, Boolean(success)).Inc();

    internal void ActorDeactivated(string actorType) => _actorsDeactivated.WithLabels(_appId, actorType).Inc();

    /// <param name="caller">Null where none is known.</param>
    /// <param name="byPolicy">The policy for it has a default action; else that of the whole table stands behind the decision.</param>
    /// <param name="allowed">Or refused.</param>
    internal void AccessDecided(CallerIdentity? caller, bool byPolicy, bool allowed)
    {
        var counter = (byPolicy, allowed) switch
        {
            (true, true) => _allowedByPolicy,
            (false, true) => _allowedByTable,
            (true, false) => _blockedByPolicy,
            (false, false) => _blockedByTable,
        };
        counter.WithLabels(caller?.AppId ?? "", caller?.TrustDomain ?? "", caller?.Namespace ?? "").Inc();
    }

    /// <summary>
    /// Without ids, as daprd (pkg/diagnostics/http_monitoring_legacy.go); of what an application is asked by invocation only the first part, since the
    /// rest may name customers.
    /// </summary>
    internal string PathLabel(string path)
    {
        var parts = path.TrimStart('/').Split('/', 6);
        var label = parts switch
        {
            ["actors", var type, _, .. var rest] => $"actors/{type}/{{id}}/{string.Join('/', rest)}".TrimEnd('/'),
            [['v', >= '0' and <= '9', ..], "actors", var type, _, var what, ..] => $"/{parts[0]}/actors/{type}/{{id}}/{what}",
            [['v', >= '0' and <= '9', ..], var api, var name, ..] => $"/{parts[0]}/{api}/{name}",
            [['v', >= '0' and <= '9', ..], var api] => $"/{parts[0]}/{api}",
            _ => $"/{parts[0]}",
        };
        return Bounded(label);
    }

    /// <summary>What is called by its address is whatever a caller writes, too.</summary>
    private string Bounded(string label) => _labels.ContainsKey(label) || (_labels.Count < MostLabels && _labels.TryAdd(label, true)) ? label : "";

    private static string Boolean(bool value) => value ? "true" : "false";

    private static string Number(int status) => status.ToString(CultureInfo.InvariantCulture);
}
