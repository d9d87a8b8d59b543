
namespace EmbeddedSidecar.Expressions;

/// <summary>An expression that cannot be parsed, or not be evaluated against what it was given.</summary>
internal sealed class CelException(string message) : Exception(message);

/// <summary>
/// The part of CEL (the Common Expression Language) that routing rules and circuit breakers use: literals, lists, fields and indexes,
/// comparison, arithmetic, <c>&amp;&amp; || ! ?: in</c>, <c>has()</c>, <c>all</c>, <c>exists</c>, <c>exists_one</c>, <c>filter</c>, <c>map</c>,
/// <c>size()</c>, <c>startsWith</c>, <c>endsWith</c>, <c>contains</c>, <c>matches</c>, <c>int()</c>, <c>double()</c>, <c>string()</c>. Anything else is
/// refused when parsing.
/// </summary>
internal sealed class CelExpression
{
    private readonly CelEvaluator _evaluator;

    private CelExpression(string text, CelEvaluator evaluator) => (Text, _evaluator) = (text, evaluator);

    public string Text { get; }

    /// <param name="text">The expression.</param>
    /// <param name="location">Where it was written: what the error names.</param>
    /// <exception cref="ResourceException">It is no expression, or uses what is not supported here.</exception>
    public static CelExpression Parse(string text, SourceLocation location)
    {
        try
        {
            return new(text, new CelParser(text).Parse());
        }
        catch (CelException error)
        {
            throw new ResourceException(location, $"the expression '{Shown(text)}' cannot be used: {error.Message}", error);
        }
    }

    private static string Shown(string text)
    {
        const int Most = 200;
        return text.Length <= Most ? text : text[..Most] + "...";
    }

    /// <summary>True or false; anything else is an error, as in CEL there is no truthiness.</summary>
    /// <param name="variables">Values: bool, long, double, string, null, <see cref="System.Text.Json.JsonElement"/>.</param>
    /// <exception cref="CelException">A field is missing, the types do not fit, or it would take too long.</exception>
    public bool Matches(IReadOnlyDictionary<string, object?> variables) => _evaluator(new CelScope(variables)) switch
    {
        bool value => value,
        var other => throw new CelException($"expected true or false, got {CelValues.Describe(other)}"),
    };
}

internal delegate object? CelEvaluator(CelScope variables);
