using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace EmbeddedSidecar.Expressions;

/// <summary>Recursive descent over the grammar of CEL; the answer is a tree of delegates.</summary>
internal sealed partial class CelParser
{
    /// <summary>Expressions come from applications as well, and are evaluated by recursion: these bounds keep any of them far from the end of a stack.</summary>
    private const int MostTokens = 1000;
    private const int DeepestNesting = 100;

    private readonly string _text;
    private readonly List<Token> _tokens = [];
    private int _next;
    private int _depth;

    public CelParser(string text)
    {
        _text = text;
        foreach (Match match in TokenPattern().Matches(text))
        {
            if (match.Groups["space"].Success)
                continue;

            var kind = match.Groups["text"].Success ? TokenKind.Text
                : match.Groups["number"].Success ? TokenKind.Number
                : match.Groups["name"].Success ? TokenKind.Name
                : match.Groups["sign"].Success ? TokenKind.Sign
                : throw new CelException($"unexpected '{match.Value}' at column {match.Index + 1}");
            _tokens.Add(new(kind, match.Value, match.Index + 1));
            if (_tokens.Count > MostTokens)
                throw new CelException($"it is longer than {MostTokens} words and signs");
        }

        _tokens.Add(new(TokenKind.End, "the end", text.Length + 1));
    }

    private enum TokenKind
    {
        Text,
        Number,
        Name,
        Sign,
        End,
    }

    private Token Current => _tokens[_next];

    public CelEvaluator Parse()
    {
        var expression = Ternary();
        return Current.Kind == TokenKind.End ? expression : throw Unexpected("an operator or the end");
    }

    private CelEvaluator Ternary()
    {
        var condition = Nested(Or);
        if (!Accept("?"))
            return condition;

        var whenTrue = Or();
        Expect(":");
        var whenFalse = Nested(Ternary);
        return variables => CelValues.Bool(condition(variables)) ? whenTrue(variables) : whenFalse(variables);
    }

    private CelEvaluator Nested(Func<CelEvaluator> inner)
    {
        if (++_depth > DeepestNesting)
            throw new CelException($"it is nested deeper than {DeepestNesting} levels");
        var evaluator = inner();
        _depth--;
        return evaluator;
    }

    private CelEvaluator Or()
    {
        var left = And();
        while (Accept("||"))
        {
            var (first, second) = (left, And());
            left = variables => CelValues.Decide([first, second], side => side(variables), true);
        }

        return left;
    }

    private CelEvaluator And()
    {
        var left = Relation();
        while (Accept("&&"))
        {
            var (first, second) = (left, Relation());
            left = variables => CelValues.Decide([first, second], side => side(variables), false);
        }

        return left;
    }

    private CelEvaluator Relation()
    {
        var left = Sum();
        while (Current is { Kind: TokenKind.Sign, Value: "==" or "!=" or "<" or "<=" or ">" or ">=" } or { Kind: TokenKind.Name, Value: "in" })
        {
            var operation = Take().Value;
            var (first, second) = (left, Sum());
            left = operation switch
            {
                "==" => variables => CelValues.AreEqual(first(variables), second(variables)),
                "!=" => variables => !CelValues.AreEqual(first(variables), second(variables)),
                "<" => variables => CelValues.Compare(first(variables), second(variables)) < 0,
                "<=" => variables => CelValues.Compare(first(variables), second(variables)) <= 0,
                ">" => variables => CelValues.Compare(first(variables), second(variables)) > 0,
                ">=" => variables => CelValues.Compare(first(variables), second(variables)) >= 0,
                _ => variables => CelValues.In(first(variables), second(variables), variables),
            };
        }

        return left;
    }

    private CelEvaluator Sum()
    {
        var left = Product();
        while (Current is { Kind: TokenKind.Sign, Value: "+" or "-" })
            left = Arithmetic(left, Take().Value, Product());
        return left;
    }

    private CelEvaluator Product()
    {
        var left = Unary();
        while (Current is { Kind: TokenKind.Sign, Value: "*" or "/" or "%" })
            left = Arithmetic(left, Take().Value, Unary());
        return left;
    }

    private static CelEvaluator Arithmetic(CelEvaluator left, string operation, CelEvaluator right) =>
        variables => CelValues.Arithmetic(left(variables), operation, right(variables));

    private CelEvaluator Unary()
    {
        if (Accept("!"))
        {
            var operand = Nested(Unary);
            return variables => !CelValues.Bool(operand(variables));
        }

        if (Accept("-"))
        {
            var operand = Nested(Unary);
            return variables => CelValues.Negate(operand(variables));
        }

        return Member(Primary());
    }

    /// <param name="target">What the fields, indexes and methods that follow are of.</param>
    /// <param name="has">In <c>has(event.data.amount)</c>: the last field may be missing, the way to it may not.</param>
    private CelEvaluator Member(CelEvaluator target, bool has = false)
    {
        while (true)
        {
            var from = target;
            if (Accept("."))
            {
                var name = TakeName();
                if (has && Accept(")"))
                    return variables => CelValues.HasField(from(variables), name.Value);
                target = Accept("(") ? Method(from, name) : variables => CelValues.Field(from(variables), name.Value);
            }
            else if (Accept("["))
            {
                var index = Ternary();
                Expect("]");
                target = variables => CelValues.Index(from(variables), index(variables));
            }
            else
            {
                return has ? throw Unexpected("a field") : target;
            }
        }
    }

    private CelEvaluator Method(CelEvaluator target, Token name)
    {
        if (name.Value is "all" or "exists" or "exists_one" or "filter" or "map")
            return Macro(target, name);

        var arguments = Arguments(")");
        return (name.Value, arguments.Count) switch
        {
            ("startsWith", 1) => variables => Text(target, variables).StartsWith(Text(arguments[0], variables), StringComparison.Ordinal),
            ("endsWith", 1) => variables => Text(target, variables).EndsWith(Text(arguments[0], variables), StringComparison.Ordinal),
            ("contains", 1) => variables => Text(target, variables).Contains(Text(arguments[0], variables), StringComparison.Ordinal),
            ("matches", 1) => variables => CelValues.IsMatch(Text(target, variables), Text(arguments[0], variables)),
            ("size", 0) => variables => CelValues.Size(target(variables)),
            _ => throw new CelException($"the method '{name.Value}' with {arguments.Count} arguments at column {name.Column} is not supported"),
        };

        static string Text(CelEvaluator evaluator, CelScope variables) => CelValues.Text(evaluator(variables));
    }

    /// <summary><c>event.data.lines.exists(line, line.quantity &gt; 1)</c>: each item of a list, or key of an object, has the name in turn.</summary>
    private CelEvaluator Macro(CelEvaluator target, Token macro)
    {
        var name = TakeName().Value;
        Expect(",");
        var first = Ternary();
        var second = Accept(",") ? Ternary() : null;
        Expect(")");

        return (macro.Value, second) switch
        {
            ("all", null) => variables => CelValues.Decide(Scopes(variables), first.Invoke, false),
            ("exists", null) => variables => CelValues.Decide(Scopes(variables), first.Invoke, true),
            ("exists_one", null) => variables => Scopes(variables).Count(scope => CelValues.Bool(first(scope))) == 1,
            ("filter", null) => variables => Scopes(variables).Where(scope => CelValues.Bool(first(scope))).Select(scope => scope.Item).ToList(),
            ("map", null) => variables => Scopes(variables).Select(first.Invoke).ToList(),
            ("map", _) => variables => Scopes(variables).Where(scope => CelValues.Bool(first(scope))).Select(second.Invoke).ToList(),
            _ => throw new CelException($"the macro '{macro.Value}' at column {macro.Column} takes a name and an expression"),
        };

        IEnumerable<CelScope> Scopes(CelScope variables) => CelValues.Items(target(variables)).Select(item => variables.With(name, item));
    }

    private CelEvaluator Primary()
    {
        var token = Take();
        switch (token)
        {
            case { Kind: TokenKind.Text }:
                var text = Unquote(token);
                return _ => text;
            case { Kind: TokenKind.Number }:
                var number = Number(token);
                return _ => number;
            case { Kind: TokenKind.Sign, Value: "(" }:
                var inner = Ternary();
                Expect(")");
                return inner;
            case { Kind: TokenKind.Sign, Value: "[" }:
                var items = Arguments("]");
                return variables => items.ConvertAll(item => item(variables));
            case { Kind: TokenKind.Name, Value: "true" or "false" }:
                object value = token.Value == "true";
                return _ => value;
            case { Kind: TokenKind.Name, Value: "null" }:
                return _ => null;
            case { Kind: TokenKind.Name, Value: "has" } when Accept("("):
                return Member(Primary(), has: true);
            case { Kind: TokenKind.Name } when Accept("("):
                return Function(token);
            case { Kind: TokenKind.Name }:
                return variables => variables.TryGet(token.Value, out var found) ? CelValues.Unwrap(found) : throw new CelException($"there is no '{token.Value}'");
            default:
                if (token.Kind != TokenKind.End)
                    _next--;
                throw Unexpected("a value");
        }
    }

    private CelEvaluator Function(Token name)
    {
        var arguments = Arguments(")");
        if (arguments.Count != 1)
            throw new CelException($"the function '{name.Value}' at column {name.Column} is not supported with {arguments.Count} arguments");

        var argument = arguments[0];
        return name.Value switch
        {
            "size" => variables => CelValues.Size(argument(variables)),
            "int" => variables => CelValues.ToInt(argument(variables)),
            "double" => variables => CelValues.ToDouble(argument(variables)),
            "string" => variables => CelValues.ToText(argument(variables)),
            _ => throw new CelException($"the function '{name.Value}' at column {name.Column} is not supported"),
        };
    }

    private List<CelEvaluator> Arguments(string end)
    {
        var arguments = new List<CelEvaluator>();
        if (Accept(end))
            return arguments;

        do
            arguments.Add(Ternary());
        while (Accept(","));
        Expect(end);
        return arguments;
    }

    private static object Number(Token token)
    {
        if (token.Value.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            return long.TryParse(token.Value.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var hexadecimal)
                ? hexadecimal
                : throw new CelException($"'{token.Value}' at column {token.Column} is too large");
        }

        if (long.TryParse(token.Value.TrimEnd('u', 'U'), NumberStyles.None, CultureInfo.InvariantCulture, out var whole))
            return whole;
        return double.TryParse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var real)
            ? real
            : throw new CelException($"'{token.Value}' at column {token.Column} is no number");
    }

    private static string Unquote(Token token)
    {
        if (token.Value[0] is 'r' or 'R')
            return token.Value[2..^1];

        var text = new StringBuilder();
        for (var i = 1; i < token.Value.Length - 1; i++)
        {
            if (token.Value[i] != '\\')
            {
                text.Append(token.Value[i]);
                continue;
            }

            i++;
            text.Append(token.Value[i] switch
            {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' or '\'' or '"' or '`' or '?' => token.Value[i],
                _ => throw new CelException($"the escape '\\{token.Value[i]}' in the text at column {token.Column} is not supported"),
            });
        }

        return text.ToString();
    }

    private Token Take() => Current.Kind == TokenKind.End ? Current : _tokens[_next++];

    private Token TakeName() => Current.Kind == TokenKind.Name ? Take() : throw Unexpected("a name");

    private bool Accept(string sign)
    {
        if (Current.Kind != TokenKind.Sign || Current.Value != sign)
            return false;
        _next++;
        return true;
    }

    private void Expect(string sign)
    {
        if (!Accept(sign))
            throw Unexpected($"'{sign}'");
    }

    private CelException Unexpected(string expected) =>
        new(_text.Length == 0 ? "it is empty" : $"expected {expected} at column {Current.Column}, found {(Current.Kind == TokenKind.End ? Current.Value : $"'{Current.Value}'")}");

    [GeneratedRegex("""
        (?<space>\s+)
        |(?<text>[rR]"[^"]*"|[rR]'[^']*'|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
        |(?<number>0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?)
        |(?<name>[A-Za-z_][A-Za-z0-9_]*)
        |(?<sign>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()\[\]])
        |(?<other>.)
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex TokenPattern();

    private readonly record struct Token(TokenKind Kind, string Value, int Column);
}
