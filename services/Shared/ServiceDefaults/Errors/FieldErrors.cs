using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.ServiceDefaults.Errors;

/// <summary>
/// What is wrong with a request, field by field (<c>lines[2].quantity</c>), all of it at once:
/// 400 <c>urn:daprorders:invalid-request</c> with <c>errors</c>.
/// </summary>
public sealed class FieldErrors
{
    /// <summary>UTF-16 units. The longest emoji sequences have fourteen; heaps of combining marks are no text.</summary>
    private const int MostUnitsInCharacter = 16;

    private static readonly SearchValues<char> OfIds = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    private readonly Dictionary<string, List<string>> _errors = [];

    public bool Any => _errors.Count > 0;

    public FieldErrors Add(string field, string message)
    {
        if (!_errors.TryGetValue(field, out var messages))
            _errors.Add(field, messages = []);
        messages.Add(message);
        return this;
    }

    /// <summary>Adds <paramref name="message"/> unless the rule holds.</summary>
    public FieldErrors Require(bool holds, string field, string message) => holds ? this : Add(field, message);

    /// <summary>An id as it may stand in a path: 1-64 of A-Z a-z 0-9 . _ - (Dapr's invocation carries no others safely).</summary>
    public FieldErrors RequireId(string? value, string field) =>
        IsId(value) ? this : Add(field, $"Expected 1-64 of A-Z a-z 0-9 . _ - ; got {Shown(value)}.");

    /// <summary>A text that is there, not blank, not too long, and can be stored and shown anywhere.</summary>
    /// <param name="longest">In characters as people count them: an accented letter or a flag is one, whatever it is made of.</param>
    public FieldErrors RequireText(string? value, string field, int longest)
    {
        if (string.IsNullOrWhiteSpace(value) || LengthOf(value) > longest || value.Length > longest * MostUnitsInCharacter)
            return Add(field, $"Expected a text of 1-{longest} characters; got {Shown(value)}.");

        var forbidden = value.EnumerateRunes().FirstOrDefault(rune => Rune.IsControl(rune) || rune == Rune.ReplacementChar, new Rune(' '));
        return forbidden.Value == ' ' ? this : Add(
            field,
            forbidden == Rune.ReplacementChar
                ? "Expected text in Unicode; a part of it is no character (U+FFFD)."
                : $"Expected a text without control characters; got U+{forbidden.Value:X4}.");
    }

    public FieldErrors RequireRange(long? value, string field, long least, long most) => value >= least && value <= most ? this : Add(
        field, $"Expected a whole number from {least} to {most}; got {value?.ToString() ?? "nothing"}.");

    public ProblemHttpResult ToProblem() => TypedResults.Problem(Problems.Describe(
        StatusCodes.Status400BadRequest,
        "invalid-request",
        "The request has invalid fields; see 'errors'. Correct them and send it again.",
        new Dictionary<string, object?> { ["errors"] = _errors.ToDictionary(field => field.Key, field => field.Value.ToArray()) }));

    public static bool IsId(string? value) => value is { Length: >= 1 and <= 64 } && !value.AsSpan().ContainsAnyExcept(OfIds);

    private static int LengthOf(string value) => new StringInfo(value).LengthInTextElements;

    internal static string Shown(string? value) => value switch
    {
        null => "nothing",
        { Length: > 40 } => $"{LengthOf(value)} characters",
        _ => $"'{value}'",
    };
}
