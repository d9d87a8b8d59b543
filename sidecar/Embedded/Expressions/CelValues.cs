using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Expressions;

/// <summary>CEL's values and what its operators do with them. Numbers compare across int and double, and are not calculated with across them.</summary>
internal static class CelValues
{
    private static readonly TimeSpan RegexLimit = TimeSpan.FromSeconds(1);

    /// <summary>JSON scalars become plain values, each number a double as in daprd; objects and arrays stay JSON.</summary>
    public static object? Unwrap(object? value) => value is not JsonElement json ? value : json.ValueKind switch
    {
        JsonValueKind.String => GoJson.Text(json),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => json.GetDouble(),
        JsonValueKind.Null or JsonValueKind.Undefined => null,
        _ => json,
    };

    public static string Describe(object? value) => value switch
    {
        null => "null",
        JsonElement json => json.ValueKind == JsonValueKind.Array ? "a list" : "an object",
        List<object?> => "a list",
        string text => $"the text '{text}'",
        _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
    };

    public static bool Bool(object? value) => value is bool result ? result : throw Mismatch("true or false", value);

    /// <summary>As CEL has it for &amp;&amp;, ||, all and exists, a side that decides wins over an error of another, whichever comes first. Each is evaluated once at most.</summary>
    public static object Decide<TSide>(IEnumerable<TSide> sides, Func<TSide, object?> evaluate, bool decides)
    {
        CelException? failed = null;
        foreach (var side in sides)
        {
            try
            {
                if (Bool(evaluate(side)) == decides)
                    return decides;
            }
            catch (CelException error)
            {
                failed ??= error;
            }
        }

        return failed is null ? !decides : throw failed;
    }

    public static string Text(object? value) => value as string ?? throw Mismatch("a text", value);

    public static object? Field(object? target, string name) =>
        TryField(target, name, out var found) ? found : throw new CelException($"no such key: {name}");

    public static bool HasField(object? target, string name) => TryField(target, name, out _);

    public static object? Index(object? target, object? index) => (target, index) switch
    {
        (_, string name) => Field(target, name),
        (_, double at and >= 0 and < int.MaxValue) when double.IsInteger(at) => Index(target, (long)at),
        (JsonElement { ValueKind: JsonValueKind.Array } array, long at) when at >= 0 && at < array.GetArrayLength() => Unwrap(array[(int)at]),
        (List<object?> list, long at) when at >= 0 && at < list.Count => list[(int)at],
        (_, long at) => throw new CelException($"no such index: {at}"),
        _ => throw Mismatch("a key or an index", index),
    };

    /// <summary>What a macro goes over: the items of a list, or the keys of an object.</summary>
    public static IEnumerable<object?> Items(object? value) => value switch
    {
        List<object?> list => list,
        JsonElement { ValueKind: JsonValueKind.Array } array => array.EnumerateArray().Select(item => Unwrap(item)),
        JsonElement json => json.EnumerateObject().Select(GoJson.Name),
        _ => throw Mismatch("a list or an object", value),
    };

    public static long Size(object? value) => value switch
    {
        string text => text.EnumerateRunes().Count(),
        List<object?> list => list.Count,
        JsonElement { ValueKind: JsonValueKind.Array } array => array.GetArrayLength(),
        JsonElement json => json.GetPropertyCount(),
        _ => throw Mismatch("a text, a list or an object", value),
    };

    /// <exception cref="CelException">The types do not fit, or the evaluation goes over too many items.</exception>
    public static bool In(object? value, object? container, CelScope scope)
    {
        if (container is JsonElement { ValueKind: JsonValueKind.Object })
        {
            scope.Count((int)Size(container));
            return HasField(container, Text(value));
        }

        return Items(container).Any(item =>
        {
            scope.Count(1);
            return AreEqual(value, item);
        });
    }

    public static bool AreEqual(object? left, object? right) => (left, right) switch
    {
        (long or double, long or double) => CompareNumbers(left, right) == 0,
        (JsonElement first, JsonElement second) => AreEqual(first, second),
        (List<object?> list, _) when IsList(right) => AreEqual(list, Items(right)),
        (_, List<object?> list) when IsList(left) => AreEqual(list, Items(left)),
        _ => Equals(left, right),
    };

    private static bool IsList(object? value) => value is List<object?> or JsonElement { ValueKind: JsonValueKind.Array };

    private static bool AreEqual(List<object?> left, IEnumerable<object?> right)
    {
        var others = right.ToList();
        return left.Count == others.Count && left.Zip(others).All(pair => AreEqual(pair.First, pair.Second));
    }

    private static bool AreEqual(JsonElement left, JsonElement right)
    {
        try
        {
            return JsonElement.DeepEquals(left, right);
        }
        catch (Exception error) when (error is InsufficientExecutionStackException or InvalidOperationException)
        {
            throw new CelException($"these values cannot be compared: {error.Message}");
        }
    }

    public static int Compare(object? left, object? right) => (left, right) switch
    {
        (long or double, long or double) => CompareNumbers(left, right),
        (string first, string second) => string.CompareOrdinal(first, second),
        (bool first, bool second) => first.CompareTo(second),
        _ => throw new CelException($"{Describe(left)} and {Describe(right)} cannot be compared"),
    };

    public static object Arithmetic(object? left, string operation, object? right)
    {
        try
        {
            return (left, operation, right) switch
            {
                (string first, "+", string second) => first + second,
                (long first, _, long second) => Whole(first, operation, second),
                (double first, not "%", double second) => Real(first, operation, second),
                _ => throw new CelException($"'{operation}' does not work on {Describe(left)} and {Describe(right)}"),
            };
        }
        catch (ArithmeticException error)
        {
            throw new CelException(error.Message);
        }
    }

    public static object Negate(object? value) => value is double real ? -real : Arithmetic(0L, "-", value);

    public static bool IsMatch(string text, string pattern)
    {
        try
        {
            return Regex.IsMatch(text, pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, RegexLimit);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException or RegexMatchTimeoutException)
        {
            throw new CelException($"matches('{pattern}'): {error.Message}");
        }
    }

    public static object ToInt(object? value) => value switch
    {
        long => value,
        double real and >= long.MinValue and < long.MaxValue => (long)real,
        string text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) => whole,
        _ => throw Mismatch("a number", value),
    };

    public static double ToDouble(object? value) => value switch
    {
        long whole => whole,
        double real => real,
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) => real,
        _ => throw Mismatch("a number", value),
    };

    public static object ToText(object? value) => value switch
    {
        string => value,
        bool truth => truth ? "true" : "false",
        long or double => string.Create(CultureInfo.InvariantCulture, $"{value}"),
        _ => throw Mismatch("a text, a number or a bool", value),
    };

    private static bool TryField(object? target, string name, out object? found)
    {
        if (target is not JsonElement { ValueKind: JsonValueKind.Object } json)
            throw Mismatch("an object", target);

        var exists = GoJson.TryFind(json, name, out var property);
        found = exists ? Unwrap(property) : null;
        return exists;
    }

    private static int CompareNumbers(object? left, object? right) =>
        left is long first && right is long second ? first.CompareTo(second) : ToDouble(left).CompareTo(ToDouble(right));

    private static long Whole(long left, string operation, long right) => checked(operation switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        _ => left % right,
    });

    private static double Real(double left, string operation, double right) => operation switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        _ => left / right,
    };

    private static CelException Mismatch(string expected, object? value) => new($"expected {expected}, got {Describe(value)}");
}
