using System.Globalization;

namespace EmbeddedSidecar.Components.State;

/// <summary>How stores read <c>ttlInSeconds</c>, and what they say when they cannot.</summary>
internal static class StateTtl
{
    public const string MetadataName = "ttlInSeconds";

    /// <summary>In-memory, redis: any number; negative ones take an expiry off.</summary>
    /// <param name="text">Digits.</param>
    /// <param name="problem">What the store says before that it cannot be read.</param>
    public static int ReadLoosely(string text, string problem = "strconv.Atoi: ") => (int)Math.Clamp(Read(text, problem), int.MinValue, int.MaxValue);

    /// <summary>sqlite, postgresql: -1, which takes an expiry off, or more (components-contrib, state/utils/ttl.go).</summary>
    public static int ReadStrictly(string text)
    {
        const string Problem = "error parsing TTL: incorrect value for metadata 'ttlInSeconds': ";
        return Read(text, $"{Problem}strconv.ParseInt: ") is >= -1 and <= int.MaxValue and var seconds ? (int)seconds : throw Refusal($"{Problem}must be -1 or greater");
    }

    private static long Read(string text, string problem) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
        ? seconds
        : throw Refusal($"{problem}parsing \"{text}\": {(text.AsSpan().TrimStart("+-") is { Length: > 0 } digits && !digits.ContainsAnyExceptInRange('0', '9') ? "value out of range" : "invalid syntax")}");

    private static StateStoreException Refusal(string message) => new(StateFailure.Other, message);
}
