using System.Collections.Frozen;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Routing.Patterns;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// The allow and deny lists of APIs in a Configuration. HTTP rules name the version and the first word of a route (v1.0, state), gRPC rules a
/// group of methods (v1, state). Denied wins; an empty allow list of a protocol allows everything there, and health is never taken away. What
/// daprd would match with nothing, so that a deny denies nothing, is refused at the start.
/// </summary>
internal sealed class ApiAccess
{
    private const string MethodPrefix = "/" + DaprGrpcMethods.ServiceName + "/";
    private const string Http = "http";
    private const string Grpc = "grpc";
    private const string Health = "healthz";

    private static readonly (string Name, string Version) Invocation = ("invoke", "v1.0");

    /// <summary>The versions by name. Those of daprd, also where this sidecar has no such API.</summary>
    private static readonly FrozenDictionary<string, string[]> HttpApis = new Dictionary<string, string[]>
    {
        ["state"] = ["v1.0", "v1.0-alpha1"],
        ["publish"] = ["v1.0", "v1.0-alpha1"],
        ["invoke"] = ["v1.0"],
        ["actors"] = ["v1.0"],
        ["bindings"] = ["v1.0"],
        ["secrets"] = ["v1.0"],
        ["configuration"] = ["v1.0", "v1.0-alpha1"],
        ["lock"] = ["v1.0-alpha1"],
        ["unlock"] = ["v1.0-alpha1"],
        ["workflows"] = ["v1.0", "v1.0-beta1", "v1.0-alpha1"],
        ["jobs"] = ["v1.0", "v1.0-alpha1"],
        ["conversation"] = ["v1.0-alpha1", "v1.0-alpha2"],
        ["crypto"] = ["v1.0-alpha1"],
        ["subtlecrypto"] = ["v1.0-alpha1"],
        ["metadata"] = ["v1.0"],
        ["shutdown"] = ["v1.0"],
        [Health] = ["v1.0"],
    }.ToFrozenDictionary();

    private static readonly (string Name, string Version, string[] Methods)[] GrpcApis =
    [
        ("invoke", "v1", ["InvokeService"]),
        ("state", "v1", ["GetState", "GetBulkState", "SaveState", "DeleteState", "DeleteBulkState", "ExecuteStateTransaction"]),
        ("state", "v1alpha1", ["QueryStateAlpha1"]),
        ("publish", "v1", ["PublishEvent", "BulkPublishEvent"]),
        ("publish", "v1alpha1", ["BulkPublishEventAlpha1"]),
        ("subscribe", "v1alpha1", ["SubscribeTopicEventsAlpha1"]),
        ("bindings", "v1", ["InvokeBinding"]),
        ("secrets", "v1", ["GetSecret", "GetBulkSecret"]),
        ("actors", "v1",
            [
                "RegisterActorTimer", "UnregisterActorTimer", "RegisterActorReminder", "GetActorReminder", "UnregisterActorReminder",
                "UnregisterActorRemindersByType", "ListActorReminders", "GetActorState", "ExecuteActorStateTransaction", "InvokeActor",
            ]),
        ("actors", "v1alpha1", ["SubscribeActorEventsAlpha1"]),
        ("configuration", "v1", ["GetConfiguration", "SubscribeConfiguration", "UnsubscribeConfiguration"]),
        ("configuration", "v1alpha1", ["GetConfigurationAlpha1", "SubscribeConfigurationAlpha1", "UnsubscribeConfigurationAlpha1"]),
        ("lock", "v1alpha1", ["TryLockAlpha1"]),
        ("unlock", "v1alpha1", ["UnlockAlpha1"]),
        ("metadata", "v1", ["GetMetadata", "SetMetadata"]),
        ("shutdown", "v1", ["Shutdown"]),
        ("workflows", "v1", []),
        ("workflows", "v1beta1",
            [
                "StartWorkflowBeta1", "GetWorkflowBeta1", "TerminateWorkflowBeta1", "RaiseEventWorkflowBeta1", "PurgeWorkflowBeta1",
                "PauseWorkflowBeta1", "ResumeWorkflowBeta1",
            ]),
        ("workflows", "v1alpha1",
            [
                "StartWorkflowAlpha1", "GetWorkflowAlpha1", "TerminateWorkflowAlpha1", "RaiseEventWorkflowAlpha1", "PurgeWorkflowAlpha1",
                "PauseWorkflowAlpha1", "ResumeWorkflowAlpha1",
            ]),
        ("jobs", "v1", ["ScheduleJob", "GetJob", "DeleteJob", "DeleteJobsByPrefix", "ListJobs"]),
        ("jobs", "v1alpha1", ["ScheduleJobAlpha1", "GetJobAlpha1", "DeleteJobAlpha1", "DeleteJobsByPrefixAlpha1", "ListJobsAlpha1"]),
        ("conversation", "v1alpha1", ["ConverseAlpha1"]),
        ("conversation", "v1alpha2", ["ConverseAlpha2"]),
        ("crypto", "v1alpha1", ["EncryptAlpha1", "DecryptAlpha1"]),
        ("subtlecrypto", "v1alpha1", []),
    ];

    private static readonly FrozenDictionary<string, (string Name, string Version)> GrpcGroups = GrpcApis
        .SelectMany(group => group.Methods.Select(method => (method, (group.Name, group.Version)))).ToFrozenDictionary(pair => pair.method, pair => pair.Item2);

    private readonly FrozenSet<(string Name, string Version)> _allowedHttp;
    private readonly FrozenSet<(string Name, string Version)> _deniedHttp;
    private readonly FrozenSet<(string Name, string Version)> _allowedGrpc;
    private readonly FrozenSet<(string Name, string Version)> _deniedGrpc;

    /// <exception cref="ResourceException">A rule that would match nothing.</exception>
    public ApiAccess(ConfigurationResource configuration)
    {
        var problems = configuration.AllowedApis.Select(rule => Problem(rule, isDenied: false))
            .Concat(configuration.DeniedApis.Select(rule => Problem(rule, isDenied: true))).OfType<(string Field, string Text)>();
        ResourceException.ThrowIfAny([.. problems.Select(problem => new ResourceError(configuration.Location, problem.Text))]);
        _allowedHttp = Rules(configuration.AllowedApis, Http);
        _deniedHttp = Rules(configuration.DeniedApis, Http);
        _allowedGrpc = Rules(configuration.AllowedApis, Grpc);
        _deniedGrpc = Rules(configuration.DeniedApis, Grpc);
    }

    public bool AllowsInvocation => AllowsHttp(Invocation);

    /// <summary>What is not allowed is no route: the path is then one that no API knows.</summary>
    public bool Allows(RouteEndpoint route)
    {
        if (_allowedHttp.Count == 0 && _deniedHttp.Count == 0)
            return true;

        var (version, name) = (Word(route, 0), Word(route, 1));
        return name == Health || AllowsHttp((name, version));

        static string Word(RouteEndpoint route, int at) =>
            route.RoutePattern.PathSegments.ElementAtOrDefault(at)?.Parts is [RoutePatternLiteralPart literal] ? literal.Content : "";
    }

    /// <summary>Calls that are to be proxied to other services are none of Dapr's APIs, and pass.</summary>
    public bool AllowsGrpc(PathString path)
    {
        if ((_allowedGrpc.Count == 0 && _deniedGrpc.Count == 0) || !path.Value!.StartsWith(MethodPrefix, StringComparison.Ordinal))
            return true;

        var group = GrpcGroups.GetValueOrDefault(path.Value[MethodPrefix.Length..]);
        return !_deniedGrpc.Contains(group) && (_allowedGrpc.Count == 0 || _allowedGrpc.Contains(group));
    }

    /// <summary>Why daprd would match the rule with nothing, and the field that is to blame; null when it is fine.</summary>
    internal static (string Field, string Text)? Problem(ApiRule rule, bool isDenied)
    {
        // As they are written: daprd's matching minds the case.
        if (rule.Protocol is not (Http or Grpc))
            return ("protocol", $"expected http or grpc, got {Shown(rule.Protocol)}: Dapr would pass over this entry, and {(isDenied ? "deny nothing" : "allow everything")}");

        var apis = rule.Protocol == Http
            ? HttpApis.SelectMany(api => api.Value.Select(version => (Name: api.Key, Version: version)))
            : GrpcApis.Select(api => (api.Name, api.Version));
        var versions = apis.Where(api => api.Name == rule.Name).Select(api => api.Version).ToList();
        if (versions.Count == 0)
            return ("name", $"expected an API that Dapr has over {rule.Protocol} ({string.Join(", ", apis.Select(api => api.Name).Distinct())}), got {Shown(rule.Name)}");
        if (!versions.Contains(Version(rule)))
            return ("version", $"expected {string.Join(" or ", versions)} for {rule.Name} over {rule.Protocol}, got {Shown(rule.Version)}: Dapr would match nothing with it");
        return isDenied && rule is { Name: Health, Protocol: Http } ? ("name", "health cannot be denied: Dapr answers it whatever the lists say") : null;
    }

    private bool AllowsHttp((string Name, string Version) api) => !_deniedHttp.Contains(api) && (_allowedHttp.Count == 0 || _allowedHttp.Contains(api));

    private static FrozenSet<(string Name, string Version)> Rules(IEnumerable<ApiRule> rules, string protocol) =>
        rules.Where(rule => rule.Protocol == protocol).Select(rule => (rule.Name, Version(rule))).ToFrozenSet();

    /// <summary>Over HTTP v1 is short for v1.0.</summary>
    private static string Version(ApiRule rule) => rule is { Protocol: Http, Version: "v1" } ? "v1.0" : rule.Version;

    private static string Shown(string text) => text.Length == 0 ? "nothing" : $"\"{text}\"";
}
