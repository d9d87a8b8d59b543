using System.Globalization;

namespace DaprOrders.Ordering.FollowingOrders;

/// <summary>An order's ETag is its version in quotes.</summary>
public static class ETags
{
    public const string Expected = "Expected the ETag of the order, for instance \"3\", or *.";

    public static string Of(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    /// <summary>What If-Match asks for: null is any version (no header, or <c>*</c>).</summary>
    public static bool TryReadIfMatch(string? ifMatch, out long? version)
    {
        version = null;
        var text = ifMatch?.Trim();
        if (string.IsNullOrEmpty(text) || text == "*")
            return true;

        if (text is not ['"', .. var digits, '"'] || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var expected))
            return false;

        version = expected;
        return true;
    }
}
