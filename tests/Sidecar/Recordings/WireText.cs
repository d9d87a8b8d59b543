using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>
/// Texts of recordings as bytes on the wire and back: UTF-8, or bytes of ISO-8859-1 behind <c>@latin1 </c>; <c>{{repeat n x}}</c> is n times x.
/// Headers travel one character to the byte, so that every byte gets through the libraries on both sides.
/// </summary>
public static partial class WireText
{
    private const string Latin1Mark = "@latin1 ";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static Encoding EncodingOfHeaders { get; } = Encoding.Latin1;

    public static byte[] Bytes(string text) => text.StartsWith(Latin1Mark, StringComparison.Ordinal)
        ? Encoding.Latin1.GetBytes(text[Latin1Mark.Length..])
        : Encoding.UTF8.GetBytes(text);

    public static string Repeated(string text) => Repeat().Replace(text, match =>
        new StringBuilder().Insert(0, match.Groups[2].Value, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)).ToString());

    public static string ToHeader(string value) => EncodingOfHeaders.GetString(Bytes(value));

    public static string FromHeader(string value)
    {
        try
        {
            return StrictUtf8.GetString(EncodingOfHeaders.GetBytes(value));
        }
        catch (DecoderFallbackException)
        {
            return Latin1Mark + value;
        }
    }

    [GeneratedRegex(@"\{\{repeat (\d+) (.+?)\}\}", RegexOptions.Singleline)]
    private static partial Regex Repeat();
}
