using System.Globalization;

namespace EmbeddedSidecar.Components.State;

/// <summary>How stores read <c>ttlInSeconds</c>, and what they say when they cannot.</summary>
internal static class StateTtl
{
    public const string MetadataName = "ttlInSeconds";

    /// <summary>In-memory, redis: any number; negative ones take an expiry off.</summary>
    public static int ReadLoosely(string text) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? seconds
            : throw Refusal($"strconv.Atoi: parsing \"{text}\": invalid syntax");

    /// <summary>sqlite, postgresql: -1, which takes an expiry off, or more.</summary>
    public static int ReadStrictly(string text)
    {
        const string Problem = "error parsing TTL: incorrect value for metadata 'ttlInSeconds': ";
        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
            throw Refusal($"{Problem}strconv.ParseInt: parsing \"{text}\": invalid syntax");

        return seconds >= -1 ? seconds : throw Refusal($"{Problem}must be -1 or greater");
    }

    private static StateStoreException Refusal(string message) => new(StateFailure.Other, message);
}
