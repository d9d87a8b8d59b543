using System.Security.Cryptography;
using System.Text;
using DaprOrders.EventSourcing.Publishing;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.EventSourcing;

/// <summary>
/// Proves that an event is from who published it: whoever else reaches the broker, or a route that deliveries come to, does not have the key.
/// An HMAC-SHA256, in base64, over what a consumer acts on, as extension attribute <c>signature</c> of the CloudEvent.
/// </summary>
public sealed class EventSigning
{
    /// <summary>
    /// The setting: keys in base64, each of 32 bytes or more, separated by commas. The first signs, every one of them is accepted; so a new
    /// key is added behind the old one everywhere, then put before it, then the old one is taken away.
    /// </summary>
    public const string Setting = "EVENTS_SIGNING_KEY";

    public const string Attribute = "signature";

    private const int ShortestKey = 32;

    private readonly byte[][] _keys;

    private EventSigning(byte[][] keys) => _keys = keys;

    /// <summary>False: there is no key. Nothing is signed, and nothing needs to be.</summary>
    public bool IsOn => _keys.Length > 0;

    /// <exception cref="InvalidOperationException">A key is not one.</exception>
    public static EventSigning From(IConfiguration configuration)
    {
        if (configuration[Setting] is not { Length: > 0 } setting)
            return new EventSigning([]);

        var texts = setting.Split(',', StringSplitOptions.TrimEntries);
        return new EventSigning([.. texts.Select((text, index) => Key(text) ?? throw new InvalidOperationException(
            $"Key {index + 1} of {texts.Length} in {Setting} is not {ShortestKey} bytes or more in base64. Expected keys like the output of "
            + "'openssl rand -base64 32', separated by commas; the first signs, all of them are accepted."))]);
    }

    /// <summary>Null without a key.</summary>
    public string? Sign(string source, RecordedEvent recorded) =>
        IsOn ? Convert.ToBase64String(HMACSHA256.HashData(_keys[0], SignedBytes.Of(source, recorded.Id, recorded))) : null;

    /// <param name="id">The id that the event came under.</param>
    public bool IsGenuine(string source, string id, RecordedEvent recorded, string? signature)
    {
        var given = new byte[HMACSHA256.HashSizeInBytes];
        if (signature is null || !Convert.TryFromBase64String(signature, given, out var length) || length != given.Length)
            return false;

        try
        {
            var signed = SignedBytes.Of(source, id, recorded);
            return _keys.Any(key => CryptographicOperations.FixedTimeEquals(given, HMACSHA256.HashData(key, signed)));
        }
        catch (InvalidOperationException)
        {
            // A text in it is no Unicode: nobody can have signed that.
            return false;
        }
    }

    private static byte[]? Key(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        return Convert.TryFromBase64String(text, bytes, out var length) && length >= ShortestKey ? bytes[..length] : null;
    }
}
