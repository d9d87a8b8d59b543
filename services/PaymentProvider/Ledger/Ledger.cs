using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DaprOrders.PaymentProvider;

/// <summary>
/// Every charge and refund ever made, and every outcome that an Idempotency-Key stands for. What it answers is on the disk. In memory it
/// keeps only where to look: some 40 bytes a key.
/// </summary>
public sealed class Ledger : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<UInt128, long> _byKey = [];
    private readonly Dictionary<string, decimal> _refunded = [];
    private readonly Journal _journal;
    private readonly TimeProvider _time;

    private Ledger(string path, TimeProvider time, WriteToDisk? write)
    {
        _time = time;
        try
        {
            _journal = Journal.Open(path, (offset, line) => Remember(LedgerEntry.Parse(line), offset), write);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"The journal {path} holds a line that is no ledger entry: {exception.Message} Restore the file, or move it away to begin with an empty ledger.", exception);
        }
    }

    /// <exception cref="InvalidDataException">A line of the journal, other than the last, cannot be read.</exception>
    public static Ledger Open(string path, TimeProvider time, WriteToDisk? write = null) => new(path, time, write);

    /// <summary>Records a charge, or a decline; under a known key, what was recorded then.</summary>
    public Task<Recorded> RecordChargeAsync(ChargeRequest request, EntryKind kind, string? key) => RecordAsync(
        key,
        Fingerprint("charge", request.Amount, request.Currency, request.PaymentMethod, request.Reference),
        (id, fingerprint) => new LedgerEntry(
            id(kind), kind, null, request.Amount!.Value, request.Currency!, request.PaymentMethod!, request.Reference!, _time.GetUtcNow(), key, fingerprint));

    /// <summary>Gives a charge back, wholly when <paramref name="amount"/> is null; under a known key, what was recorded then. Never more than was charged.</summary>
    public Task<Recorded> RecordRefundAsync(LedgerEntry charge, decimal? amount, string? key) => RecordAsync(
        key,
        Fingerprint("refund", amount, charge.Id),
        (id, fingerprint) =>
        {
            var left = charge.Amount - _refunded.GetValueOrDefault(charge.Id);
            var back = amount ?? left;
            return back <= 0 || back > left
                ? null
                : charge with { Id = id(EntryKind.Refund), Kind = EntryKind.Refund, ChargeId = charge.Id, Amount = back, At = _time.GetUtcNow(), IdempotencyKey = key, Fingerprint = fingerprint };
        });

    /// <summary>The charge and how much of it was given back; null when there is none with this id.</summary>
    public (LedgerEntry Charge, decimal Refunded)? FindCharge(string id)
    {
        if (!id.StartsWith("ch_", StringComparison.Ordinal)
            || !long.TryParse(id.AsSpan(3), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var offset)
            || _journal.ReadAt(offset) is not { IsEmpty: false } line)
        {
            return null;
        }

        var entry = LedgerEntry.Parse(line.Span);
        lock (_gate)
        {
            return entry.Id == id ? (entry, _refunded.GetValueOrDefault(id)) : null;
        }
    }

    /// <summary>Whether an outcome is recorded under the key.</summary>
    public bool Knows(string? key)
    {
        lock (_gate)
        {
            return key is not null && _byKey.ContainsKey(HashOf(key));
        }
    }

    /// <summary>Charges and refunds after the place <paramref name="after"/> (0: from the first on), oldest first, with the place behind each.</summary>
    public IEnumerable<(LedgerEntry Entry, long Position)> Read(long after) => _journal.ReadFrom(after)
        .Select(line => (Entry: LedgerEntry.Parse(line.Line.Span), Position: line.Offset + line.Line.Length + 1))
        .Where(line => line.Entry.Kind != EntryKind.Decline);

    public void Dispose() => _journal.Dispose();

    /// <summary>A null entry is a refusal: nothing is recorded.</summary>
    private async Task<Recorded> RecordAsync(string? key, string fingerprint, Func<Func<EntryKind, string>, string, LedgerEntry?> record)
    {
        LedgerEntry? entry = null;
        long offset;
        Task durable;
        lock (_gate)
        {
            if (key is not null && _byKey.TryGetValue(HashOf(key), out offset))
            {
                durable = _journal.WhenDurable(offset);
            }
            else
            {
                offset = _journal.End;
                entry = record(kind => string.Create(CultureInfo.InvariantCulture, $"{Prefix(kind)}{offset:x8}"), fingerprint);
                if (entry is null)
                {
                    return new Recorded(null, Replayed: false, Reused: false);
                }

                durable = _journal.Append(entry.ToLine());
                Remember(entry, offset);
            }
        }

        await durable;
        if (entry is not null)
        {
            return new Recorded(entry, Replayed: false, Reused: false);
        }

        var recorded = LedgerEntry.Parse(_journal.ReadAt(offset).Span);
        return new Recorded(recorded, Replayed: true, Reused: recorded.Fingerprint != fingerprint);
    }

    private void Remember(LedgerEntry entry, long offset)
    {
        if (entry.IdempotencyKey is { } key)
        {
            _byKey[HashOf(key)] = offset;
        }

        if (entry.ChargeId is { } chargeId)
        {
            _refunded[chargeId] = _refunded.GetValueOrDefault(chargeId) + entry.Amount;
        }
    }

    private static string Prefix(EntryKind kind) => kind switch
    {
        EntryKind.Charge => "ch_",
        EntryKind.Refund => "re_",
        _ => "de_",
    };

    private static UInt128 HashOf(string key) => BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    private static string Fingerprint(params object?[] parts) => Convert.ToHexStringLower(
        SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts.Select(part => part is decimal amount ? amount.ToString("0.00", CultureInfo.InvariantCulture) : part)))));
}

/// <summary>What the ledger holds for a call: a new entry, the one recorded under the key before, or none when it refused.</summary>
/// <param name="Reused">The key stands for another request.</param>
public sealed record Recorded(LedgerEntry? Entry, bool Replayed, bool Reused);
