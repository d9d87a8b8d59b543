using System.Globalization;
using System.Text;
using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>A message and its metadata as a record with headers, and back (components-contrib, common/component/kafka/producer.go and consumer.go).</summary>
internal static class KafkaMessages
{
    private const string PartitionKey = "partitionKey";
    private const string Key = "__key";
    private const string PartitionNumber = "partitionNumber";
    private const string ValueSchemaType = "valueSchemaType";

    /// <summary>What stands for a record without a value, which deletes its key where Kafka compacts.</summary>
    private static ReadOnlySpan<byte> Null => "null"u8;

    /// <summary>Every field becomes a header, also those that mean something here.</summary>
    /// <exception cref="ArgumentException">The metadata cannot be used.</exception>
    public static (Partition Partition, Message<byte[]?, byte[]?> Message) Write(BrokerMessage message, KafkaPubSubOptions options)
    {
        var written = new Message<byte[]?, byte[]?> { Value = message.Data.Span.SequenceEqual(Null) ? null : message.Data.ToArray() };
        var metadata = message.Metadata ?? new Dictionary<string, string>();
        RefuseAvro(metadata);
        if ((metadata.GetValueOrDefault(PartitionKey) ?? metadata.GetValueOrDefault(Key)) is { } key)
            written.Key = Encoding.UTF8.GetBytes(key);
        foreach (var (name, value) in metadata)
        {
            if (options.Excluded?.IsMatch(name) == true)
                continue;
            written.Headers ??= [];
            written.Headers.Add(name, Encoding.UTF8.GetBytes(value));
        }

        return (PartitionOf(metadata), written);
    }

    /// <summary>The content type is not kept.</summary>
    public static BrokerMessage Read(ConsumeResult<byte[]?, byte[]?> record, KafkaPubSubOptions options)
    {
        var metadata = new Dictionary<string, string>
        {
            ["__offset"] = Number(record.Offset.Value),
            ["__topic"] = record.Topic,
            ["__timestamp"] = Number(record.Message.Timestamp.UnixTimestampMs),
            ["__partition"] = Number(record.Partition.Value),
        };
        if (record.Message.Key is { } key)
            metadata[Key] = Text(key, options);
        foreach (var header in record.Message.Headers ?? [])
        {
            if (options.Excluded?.IsMatch(header.Key) != true)
                metadata[header.Key] = Text(header.GetValueBytes() ?? [], options);
        }

        return new(record.Message.Value ?? Null.ToArray(), ContentType: null, metadata);
    }

    /// <exception cref="ArgumentException">It asks for Avro.</exception>
    public static void RefuseAvro(IReadOnlyDictionary<string, string> metadata)
    {
        var type = metadata.FirstOrDefault(field => field.Key.Equals(ValueSchemaType, StringComparison.OrdinalIgnoreCase)).Value;
        if (!string.IsNullOrEmpty(type) && !type.Equals("none", StringComparison.OrdinalIgnoreCase))
            throw new ArgumentException($"{ValueSchemaType} must be none or left out, but is \"{type}\": the embedded sidecar has no Avro");
    }

    private static Partition PartitionOf(IReadOnlyDictionary<string, string> metadata)
    {
        if (metadata.GetValueOrDefault(PartitionNumber) is not { } text)
            return Partition.Any;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new ArgumentException($"{PartitionNumber} must be a whole number, 0 or more, but is \"{text}\"");
    }

    private static string Text(byte[] bytes, KafkaPubSubOptions options)
    {
        var text = Encoding.UTF8.GetString(bytes);
        // As Go's url.QueryEscape.
        return options.EscapesHeaders ? Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal) : text;
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
