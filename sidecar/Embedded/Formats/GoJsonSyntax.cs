namespace EmbeddedSidecar.Formats;

/// <summary>Says what is wrong with a JSON text in the words of Go's encoding/json, which daprd's answers contain.</summary>
internal ref struct GoJsonSyntax
{
    private readonly ReadOnlySpan<byte> _text;
    private int _at;

    private GoJsonSyntax(ReadOnlySpan<byte> text) => _text = text;

    /// <summary>Null when the text begins with a whole JSON value (Go's decoder does not look behind it).</summary>
    public static string? Describe(ReadOnlySpan<byte> text) => Describe(text, out _);

    /// <param name="length">To the end of the value that the text begins with.</param>
    public static string? Describe(ReadOnlySpan<byte> text, out int length)
    {
        var scanner = new GoJsonSyntax(text);
        scanner.SkipSpace();
        var problem = scanner._at == text.Length ? "EOF" : scanner.Value();
        length = scanner._at;
        return problem;
    }

    /// <summary>Null when the text is one JSON value and nothing else, as <c>json.Unmarshal</c> wants it.</summary>
    public static string? DescribeWhole(ReadOnlySpan<byte> text)
    {
        var scanner = new GoJsonSyntax(text);
        if (scanner.Value() is { } problem)
            return problem == "unexpected EOF" ? "unexpected end of JSON input" : problem;
        scanner.SkipSpace();
        return scanner._at == text.Length ? null : scanner.Invalid("after top-level value");
    }

    /// <summary>Keeps what is open itself: a text may be nested deeper than a thread's stack allows.</summary>
    private string? Value()
    {
        var open = new Stack<char>();
        for (var more = true; more;)
        {
            if (Begin(open, out var opened) is { } problem)
                return problem;

            if (!opened && End(open, out more) is { } wrong)
                return wrong;
        }

        return null;
    }

    /// <summary>A scalar or something empty as a whole; of an array or object what stands before its first value.</summary>
    private string? Begin(Stack<char> open, out bool opened)
    {
        opened = false;
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        switch (_text[_at])
        {
            case (byte)'{':
                return Open('}', open, out opened);
            case (byte)'[':
                return Open(']', open, out opened);
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

    private string? Open(char close, Stack<char> open, out bool opened)
    {
        opened = false;
        if (open.Count == GoJson.MaxDepth)
            return Invalid("exceeded max depth");

        _at++;
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        if (_text[_at] == close)
        {
            _at++;
            return null;
        }

        open.Push(close);
        opened = true;
        return close == '}' ? Name() : null;
    }

    /// <summary>What stands behind a value: the ends of all that it was the last of, or the way to the next one.</summary>
    private string? End(Stack<char> open, out bool more)
    {
        more = false;
        while (open.TryPeek(out var close))
        {
            SkipSpace();
            if (AtEnd(out var end))
                return end;

            if (_text[_at] == ',')
            {
                _at++;
                more = true;
                return close == '}' ? Name() : null;
            }

            if (_text[_at] != close)
                return Invalid(close == '}' ? "after object key:value pair" : "after array element");

            _at++;
            open.Pop();
        }

        return null;
    }

    private string? Name()
    {
        SkipSpace();
        if (AtEnd(out var end))
            return end;

        return _text[_at] == '"'
            ? Text() ?? Expect(':', "after object key")
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
                    if (Escape() is { } problem)
                        return problem;

                    break;
                case < 0x20:
                    return Invalid("in string literal");
            }
        }

        return "unexpected EOF";
    }

    /// <summary>Ends at the last character of the escape.</summary>
    private string? Escape()
    {
        _at++;
        if (_at >= _text.Length)
            return null;

        if (!"\"\\/bfnrtu"u8.Contains(_text[_at]))
            return Invalid("in string escape code");

        for (var digits = _text[_at] == 'u' ? 4 : 0; digits > 0; digits--)
        {
            _at++;
            if (AtEnd(out var end))
                return end;

            if (!char.IsAsciiHexDigit((char)_text[_at]))
                return Invalid("in \\u hexadecimal character escape");
        }

        return null;
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
            _at++;
        // No number begins with a zero and goes on.
        if (_at < _text.Length && _text[_at] == '0')
            _at++;
        else if (Digits("in numeric literal") is { } problem)
            return problem;

        if (_at < _text.Length && _text[_at] == '.')
        {
            _at++;
            if (Digits("after decimal point in numeric literal") is { } wrong)
                return wrong;
        }

        if (_at >= _text.Length || _text[_at] is not ((byte)'e' or (byte)'E'))
            return null;

        _at++;
        if (_at < _text.Length && _text[_at] is (byte)'+' or (byte)'-')
            _at++;
        return Digits("in exponent of numeric literal");
    }

    private string? Digits(string context)
    {
        if (AtEnd(out var end))
            return end;

        if (!char.IsAsciiDigit((char)_text[_at]))
            return Invalid(context);

        while (_at < _text.Length && char.IsAsciiDigit((char)_text[_at]))
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

    /// <summary>The character that Go names is that of one byte.</summary>
    private readonly string Invalid(string context)
    {
        var shown = _text[_at] switch
        {
            (byte)'"' => "\"",
            (byte)'\'' => "\\'",
            var other => GoText.Quote(((char)other).ToString())[1..^1],
        };
        return $"invalid character '{shown}' {context}";
    }
}
