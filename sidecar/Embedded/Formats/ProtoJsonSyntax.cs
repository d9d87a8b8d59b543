using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace EmbeddedSidecar.Formats;

/// <summary>Says what is wrong with the JSON form of a message in the words of Go's protojson (google.golang.org/protobuf, internal/encoding/json/decode.go), which daprd's answers contain.</summary>
internal ref partial struct ProtoJsonSyntax
{
    private const string EndTooSoon = "unexpected EOF";

    private readonly ReadOnlySpan<byte> _text;
    private readonly Stack<char> _open = new();
    private Kind _last;
    private int _start;
    private int _at;

    private ProtoJsonSyntax(ReadOnlySpan<byte> text) => _text = text;

    private enum Kind
    {
        None,
        End,
        Scalar,
        Name,
        OpenObject,
        CloseObject,
        OpenArray,
        CloseArray,
        Comma,
    }

    private readonly ReadOnlySpan<byte> Token => _text[_start.._at];

    /// <summary>Null when the text is one object and nothing else.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="ofField">Says of a field, by its name, and of the first token of its value what is wrong with it.</param>
    public static string? Describe(ReadOnlySpan<byte> text, Func<string, string, string?>? ofField = null)
    {
        var scanner = new ProtoJsonSyntax(text);
        if (scanner.Read() is { } problem)
            return problem;
        if (scanner._last != Kind.OpenObject)
            return scanner.Unexpected();
        while (scanner._last != Kind.End)
        {
            if (scanner.Read() is { } wrong)
                return wrong;
            if (scanner._last != Kind.Name || scanner._open.Count > 1 || ofField is null)
                continue;
            var name = scanner.Name();
            if (scanner.Read() is { } wrongValue)
                return wrongValue;
            if (ofField(name, Encoding.UTF8.GetString(scanner.Token)) is { } wrongType)
                return $"{Position(text, scanner._start)}: {wrongType}";
        }

        return null;
    }

    /// <summary>Both count from 1, the second in characters.</summary>
    public static string Position(ReadOnlySpan<byte> text, int at)
    {
        var before = text[..at];
        var column = 1;
        foreach (var one in before[(before.LastIndexOf((byte)'\n') + 1)..])
            column += (one & 0xC0) == 0x80 ? 0 : 1;
        return string.Create(CultureInfo.InvariantCulture, $"(line {before.Count((byte)'\n') + 1}:{column})");
    }

    private readonly string Name()
    {
        var reader = new Utf8JsonReader(Token[..(Token.LastIndexOf((byte)'"') + 1)]);
        reader.Read();
        return GoJson.Text(ref reader);
    }

    private string? Read()
    {
        while (true)
        {
            SkipSpace();
            _start = _at;
            if (_at == _text.Length)
            {
                var isWhole = _open.Count == 0 && _last is Kind.Scalar or Kind.CloseObject or Kind.CloseArray;
                _last = Kind.End;
                return isWhole ? null : EndTooSoon;
            }

            var problem = (char)_text[_at] switch
            {
                '{' => Open('{', Kind.OpenObject),
                '[' => Open('[', Kind.OpenArray),
                '}' => Close('{', Kind.CloseObject, _last is Kind.Name or Kind.Comma),
                ']' => Close('[', Kind.CloseArray, _last == Kind.Comma),
                ',' => Comma(),
                '"' => Text(),
                _ => Literal(),
            };
            if (problem is not null || _last != Kind.Comma)
                return problem;
        }
    }

    private readonly bool IsValueNext() => !_open.TryPeek(out var inside) ? _last == Kind.None : inside == '{' ? _last == Kind.Name : _last is Kind.OpenArray or Kind.Comma;

    private string? Open(char bracket, Kind kind)
    {
        _at++;
        if (!IsValueNext())
            return Unexpected();
        _open.Push(bracket);
        _last = kind;
        return null;
    }

    private string? Close(char bracket, Kind kind, bool isTooSoon)
    {
        _at++;
        if (!_open.TryPeek(out var inside) || isTooSoon || inside != bracket)
            return Unexpected();
        _open.Pop();
        _last = kind;
        return null;
    }

    private string? Comma()
    {
        _at++;
        if (_open.Count == 0 || _last is not (Kind.Scalar or Kind.CloseObject or Kind.CloseArray))
            return Unexpected();
        _last = Kind.Comma;
        return null;
    }

    private string? Text()
    {
        if (SkipText() is { } problem)
            return problem;
        if (IsValueNext())
        {
            _last = Kind.Scalar;
            return null;
        }

        if (_last is not (Kind.OpenObject or Kind.Comma))
            return Unexpected();
        SkipSpace();
        if (_at == _text.Length)
            return EndTooSoon;
        if (_text[_at] != ':')
        {
            Rune.DecodeFromUtf8(_text[_at..], out var rune, out _);
            return Syntax(_at, $"unexpected character {rune}, missing \":\" after field name");
        }

        _at++;
        _last = Kind.Name;
        return null;
    }

    private string? SkipText()
    {
        for (_at++; _at < _text.Length;)
        {
            if (_text[_at] == '"')
            {
                _at++;
                return null;
            }

            if (_text[_at] < ' ')
                return Syntax(_start, $"invalid character '{GoText.Quote(((char)_text[_at]).ToString())[1..^1]}' in string");
            if (_text[_at] == '\\')
            {
                if (SkipEscape() is { } problem)
                    return problem;
                continue;
            }

            if (Rune.DecodeFromUtf8(_text[_at..], out _, out var length) != OperationStatus.Done)
                return Syntax(_start, "invalid UTF-8 in string");
            _at += length;
        }

        return EndTooSoon;
    }

    private string? SkipEscape()
    {
        if (_text.Length - _at < 2)
            return EndTooSoon;
        if (_text[_at + 1] != 'u')
        {
            if (!"\"\\/bfnrt"u8.Contains(_text[_at + 1]))
                return InvalidEscape(2);
            _at += 2;
            return null;
        }

        if (_text.Length - _at < 6)
            return EndTooSoon;
        if (!TryUnit(out var first))
            return InvalidEscape(6);
        _at += 6;
        if (!char.IsSurrogate(first))
            return null;
        if (_text.Length - _at < 6)
            return EndTooSoon;
        if (_text[_at] != '\\' || _text[_at + 1] != 'u' || !TryUnit(out var second) || !char.IsSurrogatePair(first, second))
            return InvalidEscape(6);
        _at += 6;
        return null;
    }

    private readonly bool TryUnit(out char unit)
    {
        var isHex = ushort.TryParse(_text.Slice(_at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value);
        unit = (char)value;
        return isHex;
    }

    private string? Literal()
    {
        // A word ends where none of its characters follows.
        var end = _at;
        while (end < _text.Length && (char.IsAsciiLetterOrDigit((char)_text[end]) || "-+._"u8.Contains(_text[end])))
            end++;
        var word = _text[_at..end];
        if (!(word.SequenceEqual("null"u8) || word.SequenceEqual("true"u8) || word.SequenceEqual("false"u8) || Number().IsMatch(Encoding.ASCII.GetString(word))))
        {
            Rune.DecodeFromUtf8(_text[_at..], out _, out var length);
            return Syntax(_at, $"invalid value {Encoding.UTF8.GetString(word.IsEmpty ? _text.Slice(_at, length) : word[..Math.Min(word.Length, 32)])}");
        }

        _at = end;
        if (!IsValueNext())
            return Unexpected();
        _last = Kind.Scalar;
        return null;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && " \t\r\n"u8.Contains(_text[_at]))
            _at++;
    }

    private readonly string InvalidEscape(int length) => Syntax(_start, $"invalid escape code {GoText.Quote(Encoding.UTF8.GetString(_text.Slice(_at, length)))} in string");

    private readonly string Unexpected() => Syntax(_start, $"unexpected token {Encoding.UTF8.GetString(Token)}");

    private readonly string Syntax(int at, string problem) => $"syntax error {Position(_text, at)}: {problem}";

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Number();
}
