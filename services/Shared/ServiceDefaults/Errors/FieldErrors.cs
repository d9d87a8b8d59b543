using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.ServiceDefaults.Errors;

/// <summary>
/// What is wrong with a request, field by field (<c>lines[2].quantity</c>), all of it at once:
/// 400 <c>urn:daprorders:invalid-request</c> with <c>errors</c>.
/// </summary>
public sealed partial class FieldErrors
{
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
        Require(IsId(value), field, $"Expected 1-64 of A-Z a-z 0-9 . _ - ; got {Shown(value)}.");

    /// <summary>A text that is there, not blank, and not too long.</summary>
    public FieldErrors RequireText(string? value, string field, int longest) => Require(
        !string.IsNullOrWhiteSpace(value) && value.Length <= longest, field, $"Expected a text of 1-{longest} characters; got {Shown(value)}.");

    public FieldErrors RequireRange(long? value, string field, long least, long most) => Require(
        value >= least && value <= most, field, $"Expected a whole number from {least} to {most}; got {value?.ToString() ?? "nothing"}.");

    public ProblemHttpResult ToProblem() => TypedResults.Problem(Problems.Describe(
        StatusCodes.Status400BadRequest,
        "invalid-request",
        "The request has invalid fields; see 'errors'. Correct them and send it again.",
        new Dictionary<string, object?> { ["errors"] = _errors.ToDictionary(field => field.Key, field => field.Value.ToArray()) }));

    public static bool IsId(string? value) => value is not null && IdPattern().IsMatch(value);

    private static string Shown(string? value) => value switch
    {
        null => "nothing",
        { Length: > 40 } => $"{value.Length} characters",
        _ => $"'{value}'",
    };

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,64}\z")]
    private static partial Regex IdPattern();
}
