namespace EmbeddedSidecar;

/// <summary>One mistake: where it stands, what was expected and what came.</summary>
public sealed record ResourceError(SourceLocation Location, string Message)
{
    /// <summary>Dapr starts all the same; the message says what it does without.</summary>
    public bool IsWarning { get; init; }

    /// <summary><c>file:line: message</c>, without the line where the mistake is the file itself, without the file where there is none.</summary>
    public override string ToString() => Location switch
    {
        { File: null } => Message,
        { Line: > 0 } => $"{Location}: {Message}",
        _ => $"{Location.File}: {Message}",
    };
}

/// <summary>Every mistake found in a set of resource files. Nothing is started when there is one.</summary>
public sealed class ResourceException(IReadOnlyList<ResourceError> errors, Exception? inner = null)
    : Exception(string.Join(Environment.NewLine, errors), inner)
{
    public ResourceException(SourceLocation location, string message, Exception? inner = null)
        : this([new ResourceError(location, message)], inner)
    {
    }

    public IReadOnlyList<ResourceError> Errors { get; } = errors;

    /// <summary>Warnings do not count, unless <paramref name="strict"/>.</summary>
    internal static void ThrowIfAny(IEnumerable<ResourceError> errors, bool strict = false)
    {
        var found = InOrder(errors.Where(e => strict || !e.IsWarning));
        if (found.Count > 0)
            throw new ResourceException(found);
    }

    /// <summary>By file and line, each once.</summary>
    internal static IReadOnlyList<ResourceError> InOrder(IEnumerable<ResourceError> errors) =>
        [.. errors.OrderBy(e => e.Location.File, StringComparer.Ordinal).ThenBy(e => e.Location.Line).Distinct()];
}

/// <summary>Where a resource, or a part of it, was written: what an error message names.</summary>
public readonly record struct SourceLocation(string File, int Line)
{
    public override string ToString() => $"{File}:{Line}";
}
