using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.PaymentProvider;

/// <summary>One line of the journal: a charge, a refund, or a charge that the card's bank declined.</summary>
/// <param name="Id"><c>ch_</c>, <c>re_</c> or <c>de_</c> and the place of the line in the journal, so that it is found without an index.</param>
/// <param name="ChargeId">The charge that a refund gives back; null otherwise.</param>
/// <param name="Reference">The merchant's own reference.</param>
/// <param name="IdempotencyKey">Null when the call brought none.</param>
/// <param name="Fingerprint">What was asked under the key (SHA-256, hex), so that a key with another body is noticed.</param>
public sealed record LedgerEntry(
    string Id,
    EntryKind Kind,
    string? ChargeId,
    decimal Amount,
    string Currency,
    string PaymentMethod,
    string Reference,
    DateTimeOffset At,
    string? IdempotencyKey,
    string Fingerprint)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        Converters = { new JsonStringEnumConverter<EntryKind>(JsonNamingPolicy.CamelCase) },
    };

    /// <exception cref="JsonException">The line is no entry.</exception>
    public static LedgerEntry Parse(ReadOnlySpan<byte> line) =>
        JsonSerializer.Deserialize<LedgerEntry>(line, Json) ?? throw new JsonException("The line is null.");

    public byte[] ToLine() => [.. JsonSerializer.SerializeToUtf8Bytes(this, Json), (byte)'\n'];
}

public enum EntryKind
{
    Charge,
    Refund,
    Decline,
}
