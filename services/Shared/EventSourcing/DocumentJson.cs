using System.Text.Json.Serialization;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing;

/// <summary>The stored documents. Names are short, since every tip carries them.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Tip))]
[JsonSerializable(typeof(Page))]
[JsonSerializable(typeof(StoredEvent))]
[JsonSerializable(typeof(Head))]
[JsonSerializable(typeof(Segment))]
[JsonSerializable(typeof(LaneList))]
[JsonSerializable(typeof(ParkedList))]
internal sealed partial class DocumentJson : JsonSerializerContext;
