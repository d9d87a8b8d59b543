using System.Buffers.Binary;

namespace EmbeddedSidecar.Formats;

/// <summary>
/// What Go's server says of a body of which nobody says what it is: <c>http.DetectContentType</c>, which looks at its beginning (net/http, sniff.go).
/// </summary>
internal static class GoContentType
{
    /// <summary>So much of a body counts.</summary>
    public const int Length = 512;

    private const string PlainText = "text/plain; charset=utf-8";

    /// <summary>In a signature any byte.</summary>
    private const char Any = '*';

    /// <summary>In any case, and behind it a space or the end of the tag.</summary>
    private static readonly string[] Tags =
    [
        "<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<IFRAME", "<H1", "<DIV", "<FONT", "<TABLE", "<A", "<STYLE", "<TITLE", "<B", "<BODY", "<BR", "<P", "<!--",
    ];

    private static readonly (string Signature, string Type)[] Types =
    [
        ("%PDF-", "application/pdf"),
        ("%!PS-Adobe-", "application/postscript"),
        ("\u00FE\u00FF**", "text/plain; charset=utf-16be"),
        ("\u00FF\u00FE**", "text/plain; charset=utf-16le"),
        ("\u00EF\u00BB\u00BF*", PlainText),
        ("\0\0\u0001\0", "image/x-icon"),
        ("\0\0\u0002\0", "image/x-icon"),
        ("BM", "image/bmp"),
        ("GIF87a", "image/gif"),
        ("GIF89a", "image/gif"),
        ("RIFF****WEBPVP", "image/webp"),
        ("\u0089PNG\r\n\u001A\n", "image/png"),
        ("\u00FF\u00D8\u00FF", "image/jpeg"),
        ("FORM****AIFF", "audio/aiff"),
        ("ID3", "audio/mpeg"),
        ("OggS\0", "application/ogg"),
        ("MThd\0\0\0\u0006", "audio/midi"),
        ("RIFF****AVI ", "video/avi"),
        ("RIFF****WAVE", "audio/wave"),
        ("\u001A\u0045\u00DF\u00A3", "video/webm"),
        ($"{new string(Any, 34)}LP", "application/vnd.ms-fontobject"),
        ("\0\u0001\0\0", "font/ttf"),
        ("OTTO", "font/otf"),
        ("ttcf", "font/collection"),
        ("wOFF", "font/woff"),
        ("wOF2", "font/woff2"),
        ("\u001F\u008B\u0008", "application/x-gzip"),
        ("PK\u0003\u0004", "application/zip"),
        ("Rar!\u001A\u0007\0", "application/x-rar-compressed"),
        ("Rar!\u001A\u0007\u0001\0", "application/x-rar-compressed"),
        ("\0asm", "application/wasm"),
    ];

    public static string Of(ReadOnlySpan<byte> data)
    {
        data = data[..Math.Min(data.Length, Length)];
        var text = data.TrimStart("\t\n\f\r "u8);
        foreach (var tag in Tags)
        {
            if (text.Length > tag.Length && text[tag.Length] is (byte)' ' or (byte)'>' && IsTag(text, tag))
                return "text/html; charset=utf-8";
        }

        if (text.StartsWith("<?xml"u8))
            return "text/xml; charset=utf-8";
        foreach (var (signature, type) in Types)
        {
            if (Begins(data, signature))
                return type;
        }

        return IsMp4(data) ? "video/mp4" : IsBinary(text) ? "application/octet-stream" : PlainText;
    }

    private static bool IsTag(ReadOnlySpan<byte> text, string tag)
    {
        for (var i = 0; i < tag.Length; i++)
        {
            if (tag[i] != (char.IsAsciiLetterUpper(tag[i]) ? text[i] & 0xDF : text[i]))
                return false;
        }

        return true;
    }

    private static bool Begins(ReadOnlySpan<byte> data, string signature)
    {
        if (data.Length < signature.Length)
            return false;
        for (var i = 0; i < signature.Length; i++)
        {
            if (signature[i] != Any && signature[i] != data[i])
                return false;
        }

        return true;
    }

    /// <summary>A box <c>ftyp</c> with a brand that begins with mp4; behind the first brand stands a version.</summary>
    private static bool IsMp4(ReadOnlySpan<byte> data)
    {
        if (data.Length < 12)
            return false;
        var size = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (data.Length < size || size % 4 != 0 || !data[4..].StartsWith("ftyp"u8))
            return false;
        for (var at = 8; at < size; at += 4)
        {
            if (at != 12 && data[at..].StartsWith("mp4"u8))
                return true;
        }

        return false;
    }

    private static bool IsBinary(ReadOnlySpan<byte> text)
    {
        foreach (var sign in text)
        {
            if (sign is <= 0x08 or 0x0B or (>= 0x0E and <= 0x1A) or (>= 0x1C and <= 0x1F))
                return true;
        }

        return false;
    }
}
