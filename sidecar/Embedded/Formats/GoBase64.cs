using System.Diagnostics.CodeAnalysis;

namespace EmbeddedSidecar.Formats;

/// <summary>Base64 as Go reads it (encoding/base64, StdEncoding): line ends are passed over and nothing else is, bits that are left over do not matter.</summary>
internal static class GoBase64
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// <param name="text">Up to where it goes wrong it is ASCII, so that characters are bytes.</param>
    /// <param name="bytes">What it says.</param>
    /// <param name="at">Where it goes wrong, as Go's CorruptInputError has it.</param>
    public static bool TryDecode(string text, [NotNullWhen(true)] out byte[]? bytes, out int at)
    {
        bytes = null;
        var (written, bits, digits) = (new List<byte>(text.Length / 4 * 3), 0, 0);
        for (at = 0; at < text.Length; at++)
        {
            if (text[at] is '\r' or '\n')
                continue;
            if (text[at] == '=' && digits >= 2)
                break;
            if (Alphabet.IndexOf(text[at], StringComparison.Ordinal) is not (>= 0 and var value))
                return false;
            bits = (bits << 6) | value;
            if (++digits < 4)
                continue;
            written.AddRange([(byte)(bits >> 16), (byte)(bits >> 8), (byte)bits]);
            digits = 0;
        }

        if (at == text.Length)
        {
            at -= digits;
            bytes = digits == 0 ? [.. written] : null;
            return digits == 0;
        }

        if (digits == 2)
        {
            // The second of two is wanted.
            var second = SkipLineEnds(text, at + 1);
            if (second == text.Length || text[second] != '=')
            {
                at = second == text.Length ? second : second - 1;
                return false;
            }

            at = second;
        }

        at = SkipLineEnds(text, at + 1);
        if (at < text.Length)
            return false;
        written.AddRange(digits == 2 ? [(byte)(bits >> 4)] : [(byte)(bits >> 10), (byte)(bits >> 2)]);
        bytes = [.. written];
        return true;
    }

    private static int SkipLineEnds(string text, int at)
    {
        while (at < text.Length && text[at] is '\r' or '\n')
            at++;
        return at;
    }
}
