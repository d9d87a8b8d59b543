using Google.Rpc;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>daprd's refusals of the publish API (pkg/api/errors/pubsub.go).</summary>
internal static class PubSubErrors
{
    public static ApiException NameEmpty() =>
        Build("", 404, StatusCode.InvalidArgument, "ERR_PUBSUB_EMPTY", "pubsub name is empty", "DAPR_PUBSUB_NAME_EMPTY");

    public static ApiException NotFound(string pubsub) =>
        new(404, StatusCode.InvalidArgument, "ERR_PUBSUB_NOT_FOUND", $"pubsub {pubsub} is not found")
        {
            Details = [ApiException.Info("DAPR_PUBSUB_NOT_FOUND")],
        };

    public static ApiException TopicEmpty(string pubsub) =>
        Build(pubsub, 404, StatusCode.InvalidArgument, "ERR_TOPIC_NAME_EMPTY", $"topic is empty in pubsub {pubsub}", "DAPR_PUBSUB_TOPIC_NAME_EMPTY");

    public static ApiException Forbidden(string pubsub, string topic, string appId)
    {
        var text = $"topic {topic} is not allowed for app id {appId}";
        return Build(pubsub, 403, StatusCode.PermissionDenied, "ERR_PUBSUB_FORBIDDEN", text, "DAPR_PUBSUB_FORBIDDEN", ("topic", topic), ("error", text));
    }

    public static ApiException RawPayloadInvalid(string pubsub, string name, string value) => Build(
        pubsub,
        400,
        StatusCode.InvalidArgument,
        "ERR_PUBSUB_REQUEST_METADATA",
        $"failed deserializing metadata. Error: rawPayload value must be a valid boolean: actual is '{value}'",
        "DAPR_PUBSUB_METADATA_DESERIALIZATION",
        (name, value));

    public static ApiException CloudEventCreation(string pubsub, string appId, string why) => Build(
        pubsub,
        500,
        StatusCode.InvalidArgument,
        "ERR_PUBSUB_CLOUD_EVENTS_SER",
        "cannot create cloudevent",
        "DAPR_PUBSUB_CLOUD_EVENT_CREATION",
        ("appID", appId),
        ("error", why));

    public static ApiException EntryId(string pubsub, string topic, string appId)
    {
        const string Why = "entryId is duplicated or not present for entry";
        return Build(
            pubsub,
            400,
            StatusCode.InvalidArgument,
            "ERR_PUBSUB_EVENTS_SER",
            $"error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {Why}",
            "DAPR_PUBSUB_MARSHAL_EVENTS",
            ("appID", appId),
            ("error", Why));
    }

    public static ApiException EntryContent(string pubsub, string topic, string appId, string why) => Build(
        pubsub,
        400,
        StatusCode.InvalidArgument,
        "ERR_PUBSUB_EVENTS_SER",
        $"error when marshalling cloud event envelope for topic {topic} pubsub {pubsub}: {why}",
        "DAPR_PUBSUB_MARSHAL_ENVELOPE",
        ("appID", appId),
        ("error", why));

    public static ApiException EventsUnreadable(string pubsub, string topic, string appId, string why) => Build(
        pubsub,
        400,
        StatusCode.InvalidArgument,
        "ERR_PUBSUB_EVENTS_SER",
        $"error when unmarshaling the request for topic {topic} pubsub {pubsub}: {why}",
        "DAPR_PUBSUB_UNMARSHAL_EVENTS",
        ("appID", appId));

    public static ApiException PublishFailed(string pubsub, string topic, string why) => Build(
        pubsub,
        500,
        StatusCode.Internal,
        "ERR_PUBSUB_PUBLISH_MESSAGE",
        $"error when publishing to topic {topic} in pubsub {pubsub}: {why}",
        "DAPR_PUBSUB_PUBLISH_MESSAGE",
        ("topic", topic),
        ("error", why));

    private static ApiException Build(
        string pubsub,
        int http,
        StatusCode grpc,
        string code,
        string message,
        string reason,
        params ReadOnlySpan<(string Name, string Value)> metadata)
    {
        var resource = new ResourceInfo { ResourceType = "pubsub", ResourceName = pubsub, Description = message };
        return new(http, grpc, code, message) { Details = [resource, ApiException.Info(reason, metadata)] };
    }
}
