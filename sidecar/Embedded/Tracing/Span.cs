using System.Diagnostics;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Tracing;

/// <summary>One piece of the sidecar's work in a trace; it ends when it is disposed, and goes out if its trace is sampled.</summary>
internal sealed class Span(Activity? activity, string traceParent) : IDisposable
{
    /// <summary>What follows from this work is told it, and so becomes its child.</summary>
    public string TraceParent { get; } = activity?.Id ?? traceParent;

    /// <summary>False where nothing that is said of it would go anywhere.</summary>
    public bool IsSampled => activity is { Recorded: true };

    public void Rename(string name)
    {
        if (activity is not null)
            activity.DisplayName = name;
    }

    /// <summary>As in daprd, an attribute without a value is none.</summary>
    public Span With(string attribute, string? value)
    {
        if (!string.IsNullOrEmpty(value))
            activity?.SetTag(attribute, value);
        return this;
    }

    public void Fail(string description) => activity?.SetStatus(ActivityStatusCode.Error, description);

    /// <summary>An answer over HTTP with this status.</summary>
    public void Answered(int status)
    {
        if (status < 400)
            return;
        var words = GoText.StatusText(status);
        Fail($"Code({status}): {(words.Length == 0 ? "Unknown" : words)}");
    }

    public void Dispose()
    {
        var current = Activity.Current;
        activity?.Dispose();
        Activity.Current = current;
    }
}
