using System.Text;

namespace DaprOrders.Sidecar.Formats;

/// <summary>Says what is wrong with a JSON text in the words of Go's encoding/json, which daprd's answers contain.</summary>
internal ref struct GoJsonSyntax
{
    private readonly ReadOnlySpan<byte> _text;
    private int _at;

    private GoJsonSyntax(ReadOnlySpan<byte> text) => _text = text;

    /// <summary>Null when the text begins with a whole JSON value (Go's decoder does not look behind it).</summary>
    public static string? Describe(ReadOnlySpan<byte> text)
    {
        var scanner = new GoJsonSyntax(text);
        scanner.SkipSpace();
        return scanner._at == text.Length ? "EOF" : scanner.Value();
    }

    private string? Value()
    {
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        switch (_text[_at])
        {
            case (byte)'{':
                return Items('}', "after object key:value pair");
            case (byte)'[':
                return Items(']', "after array element");
            case (byte)'"':
                return Text();
            case (byte)'t':
                return Literal("true");
            case (byte)'f':
                return Literal("false");
            case (byte)'n':
                return Literal("null");
            case (byte)'-' or (>= (byte)'0' and <= (byte)'9'):
                return Number();
            default:
                return Invalid("looking for beginning of value");
        }
    }

    private string? Items(char close, string afterItem)
    {
        _at++;
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        if (_text[_at] == close)
        {
            _at++;
            return null;
        }

        while (true)
        {
            if ((close == '}' ? Member() : Value()) is { } problem)
                return problem;

            SkipSpace();
            if (AtEnd(out end))
                return end;

            if (_text[_at] != ',' && _text[_at] != close)
                return Invalid(afterItem);

            if (_text[_at++] == close)
                return null;
        }
    }

    private string? Member()
    {
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        return _text[_at] == '"'
            ? Text() ?? Expect(':', "after object key") ?? Value()
            : Invalid("looking for beginning of object key string");
    }

    private string? Text()
    {
        for (_at++; _at < _text.Length; _at++)
        {
            switch (_text[_at])
            {
                case (byte)'"':
                    _at++;
                    return null;
                case (byte)'\\':
                    _at++;
                    if (_at < _text.Length && !"\"\\/bfnrtu"u8.Contains(_text[_at]))
                        return Invalid("in string escape code");

                    break;
                case < 0x20:
                    return Invalid("in string literal");
            }
        }

        return "unexpected EOF";
    }

    private string? Literal(string word)
    {
        for (var i = 0; i < word.Length; i++, _at++)
        {
            if (AtEnd(out var end))
                return end;

            if (_text[_at] != word[i])
                return Invalid($"in literal {word} (expecting '{word[i]}')");
        }

        return null;
    }

    private string? Number()
    {
        if (_text[_at] == '-')
        {
            _at++;
            if (AtEnd(out var end))
                return end;

            if (!char.IsAsciiDigit((char)_text[_at]))
                return Invalid("in numeric literal");
        }

        while (_at < _text.Length && "0123456789+-.eE"u8.Contains(_text[_at]))
            _at++;

        return null;
    }

    private string? Expect(char wanted, string context)
    {
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        if (_text[_at] != wanted)
            return Invalid(context);

        _at++;
        return null;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && " \t\r\n"u8.Contains(_text[_at]))
            _at++;
    }

    private readonly bool AtEnd(out string? problem)
    {
        problem = _at >= _text.Length ? "unexpected EOF" : null;
        return problem is not null;
    }

    private readonly string Invalid(string context)
    {
        Rune.DecodeFromUtf8(_text[_at..], out var rune, out _);
        var shown = rune.Value switch { '\'' => "\\'", '"' => "\"", '\n' => "\\n", '\t' => "\\t", '\r' => "\\r", _ => rune.ToString() };
        return $"invalid character '{shown}' {context}";
    }
}
