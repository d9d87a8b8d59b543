using System.Globalization;
using System.Text;
using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>What an application gets of a message beside its bytes (components-contrib, pubsub/rabbitmq/rabbitmq.go, addAMQPPropertiesToMetadata).</summary>
internal static class RabbitMqProperties
{
    private const string Prefix = "metadata.";

    /// <summary>Not null, which a bulk subscriber could tell.</summary>
    public static IReadOnlyDictionary<string, string> None { get; } = new Dictionary<string, string>();

    public static IReadOnlyDictionary<string, string> ToMetadata(IReadOnlyBasicProperties properties)
    {
        var metadata = new Dictionary<string, string>();
        Add("messageid", properties.MessageId);
        Add("correlationid", properties.CorrelationId);
        Add("type", properties.Type);
        Add("contenttype", properties.ContentType);
        foreach (var (name, value) in properties.Headers ?? new Dictionary<string, object?>())
        {
            // The client's own, on what was published with confirmations.
            if (name == Constants.PublishSequenceNumberHeader || value is null)
                continue;
            metadata[Prefix + name] = value is byte[] text ? Encoding.UTF8.GetString(text) : Convert.ToString(value, CultureInfo.InvariantCulture)!;
        }

        return metadata;

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
                metadata[Prefix + name] = value;
        }
    }
}
