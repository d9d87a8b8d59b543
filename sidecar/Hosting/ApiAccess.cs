using System.Collections.Frozen;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Hosting;

/// <summary>
/// The allow and deny lists of APIs in a Configuration. HTTP rules name the version and the first word of the path (v1.0, state), gRPC rules
/// a group of methods (v1, state). Denied wins; an empty allow list of a protocol allows everything there.
/// </summary>
public sealed class ApiAccess(ConfigurationResource configuration)
{
    private const string MethodPrefix = "/" + DaprGrpcMethods.ServiceName + "/";

    private static readonly FrozenDictionary<string, string> GrpcGroups = new (string Group, string[] Methods)[]
    {
        ("invoke.v1", ["InvokeService"]),
        ("state.v1", ["GetState", "GetBulkState", "SaveState", "DeleteState", "DeleteBulkState", "ExecuteStateTransaction"]),
        ("state.v1alpha1", ["QueryStateAlpha1"]),
        ("publish.v1", ["PublishEvent", "BulkPublishEvent"]),
        ("publish.v1alpha1", ["BulkPublishEventAlpha1"]),
        ("subscribe.v1alpha1", ["SubscribeTopicEventsAlpha1"]),
        ("bindings.v1", ["InvokeBinding"]),
        ("secrets.v1", ["GetSecret", "GetBulkSecret"]),
        ("actors.v1",
            [
                "RegisterActorTimer", "UnregisterActorTimer", "RegisterActorReminder", "GetActorReminder", "UnregisterActorReminder",
                "UnregisterActorRemindersByType", "ListActorReminders", "GetActorState", "ExecuteActorStateTransaction", "InvokeActor",
            ]),
        ("actors.v1alpha1", ["SubscribeActorEventsAlpha1"]),
        ("metadata.v1", ["GetMetadata", "SetMetadata"]),
        ("shutdown.v1", ["Shutdown"]),
    }.SelectMany(group => group.Methods.Select(method => (method, group.Group))).ToFrozenDictionary(pair => pair.method, pair => pair.Group);

    private readonly FrozenSet<string> _allowedHttp = Rules(configuration.AllowedApis, "http");
    private readonly FrozenSet<string> _deniedHttp = Rules(configuration.DeniedApis, "http");
    private readonly FrozenSet<string> _allowedGrpc = Rules(configuration.AllowedApis, "grpc");
    private readonly FrozenSet<string> _deniedGrpc = Rules(configuration.DeniedApis, "grpc");

    public bool Allows(PathString path)
    {
        if (_allowedHttp.Count == 0 && _deniedHttp.Count == 0)
            return true;

        var segments = path.Value!.Split('/', 4);
        var api = segments.Length > 2 ? $"{segments[2]}.{segments[1]}" : "";
        return !_deniedHttp.Contains(api) && (_allowedHttp.Count == 0 || _allowedHttp.Contains(api));
    }

    /// <summary>Calls that are to be proxied to other services are none of Dapr's APIs, and pass.</summary>
    public bool AllowsGrpc(PathString path)
    {
        if ((_allowedGrpc.Count == 0 && _deniedGrpc.Count == 0) || !path.Value!.StartsWith(MethodPrefix, StringComparison.Ordinal))
            return true;

        var group = GrpcGroups.GetValueOrDefault(path.Value[MethodPrefix.Length..], "");
        return !_deniedGrpc.Contains(group) && (_allowedGrpc.Count == 0 || _allowedGrpc.Contains(group));
    }

    private static FrozenSet<string> Rules(IEnumerable<ApiRule> rules, string protocol) =>
        rules.Where(rule => rule.Protocol is null || rule.Protocol.Equals(protocol, StringComparison.OrdinalIgnoreCase))
            .Select(rule => $"{rule.Name}.{rule.Version}")
            .ToFrozenSet();
}
