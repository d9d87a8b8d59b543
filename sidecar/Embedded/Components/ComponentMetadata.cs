using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Components;

/// <summary>A metadata field after secrets, environment and templates were put in; <c>IsSecret</c>: it came from one of the first two.</summary>
internal sealed record MetadataValue(string Name, string Value, SourceLocation Location, bool IsSecret = false);

/// <summary>The metadata of one component, its names compared without case, read with the types that Dapr's components give them.</summary>
internal sealed partial class ComponentMetadata
{
    /// <summary>Parts of the names of fields that hold a secret, and of values (connection strings) that contain one.</summary>
    private static readonly string[] SecretNames = ["password", "secret", "token", "clientKey", "accessKey"];
    private static readonly string[] SecretWords = ["password", "pwd", "secret", "accesskey", "://", "@"];

    private readonly Dictionary<string, MetadataValue> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly ComponentResource _resource;

    public ComponentMetadata(ComponentResource resource, IEnumerable<MetadataValue> values)
    {
        _resource = resource;
        foreach (var value in values)
        {
            if (!_values.TryAdd(value.Name, value))
                throw new ResourceException(value.Location, $"component {resource.Name}: metadata field '{value.Name}' is given twice; keep one of them");
        }
    }

    public IReadOnlyCollection<MetadataValue> Values => _values.Values;

    public bool IsSame(ComponentMetadata other) =>
        Values.Select(value => (value.Name, value.Value)).ToHashSet().SetEquals(other.Values.Select(value => (value.Name, value.Value)));

    public bool TryGet(string name, [NotNullWhen(true)] out string? value)
    {
        value = _values.TryGetValue(name, out var found) ? found.Value : null;
        return value is not null;
    }

    public string? Text(string name) => TryGet(name, out var value) ? value : null;

    public string Text(string name, string defaultValue) => TryGet(name, out var value) && value.Length > 0 ? value : defaultValue;

    public string Required(string name) =>
        TryGet(name, out var value) && value.Length > 0
            ? value
            : throw new ResourceException(_resource.TypeLocation, $"component {_resource.Name} ({_resource.Type}): metadata field '{name}' is required");

    public int Number(string name, int defaultValue) =>
        !TryGet(name, out var value) || value.Length == 0 ? defaultValue
        : int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : throw Invalid(name, "a whole number");

    /// <summary>Dapr reads "true", "t", "1", "y", "yes", "on" in any case as true (dapr/kit utils.IsTruthy), everything else as false.</summary>
    public bool Boolean(string name, bool defaultValue) =>
        !TryGet(name, out var value) || value.Length == 0 ? defaultValue : IsTruthy(value) || (IsFalsy(value) ? false : throw Invalid(name, "true or false"));

    /// <summary>A Go duration ("1m30s", "500ms"), or a plain number in <paramref name="plainNumberUnit"/>.</summary>
    public TimeSpan Duration(string name, TimeSpan defaultValue, TimeSpan plainNumberUnit) =>
        !TryGet(name, out var value) || value.Length == 0 ? defaultValue
        : long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number * plainNumberUnit
        : GoDuration.TryParse(value, out var duration) ? duration
        : throw Invalid(name, "a duration such as \"5s\" or \"500ms\"");

    /// <summary>Tells the value, unless it may hold a secret: error texts end up on consoles and in logs.</summary>
    public ResourceException Invalid(string name, string expected) =>
        new(LocationOf(name), $"component {_resource.Name} ({_resource.Type}): metadata field '{name}' must be {expected}, but is {Shown(name)}");

    public SourceLocation LocationOf(string name) => _values.TryGetValue(name, out var value) ? value.Location : _resource.TypeLocation;

    /// <summary>The first of these fields that is given, and the hosts in it: nothing of users and passwords.</summary>
    public (string? Field, string Hosts) Server(IEnumerable<string> fields)
    {
        if (fields.FirstOrDefault(field => Text(field) is { Length: > 0 }) is not { } given)
            return (null, "");
        return (given, Hosts(_values[given]) is { Length: > 0 } hosts ? hosts : Shown(given));
    }

    /// <summary>Which form it has is decided by all of the text: a password may hold what stands between servers. Where that is not clear, it is empty.</summary>
    private static string Hosts(MetadataValue value)
    {
        var text = value.Value;
        if (text.Contains("://", StringComparison.Ordinal))
            return string.Join(", ", Addresses().Match(text).Groups["host"].Captures.Select(host => host.Value));
        if (text.Contains('=', StringComparison.Ordinal))
            return string.Join(' ', HostWords().Matches(text).Where(word => word.Groups["word"].Success).Select(word => word.Value));
        return value.IsSecret || text.Contains('@', StringComparison.Ordinal)
            ? ""
            : string.Join(", ", text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>One address or several, each of one host or several, and at the end a path; its only <c>@</c> are those behind a user.</summary>
    [GeneratedRegex(@"^(?:(?:^\s*|/?,\s*)[a-z][a-z\d+.-]*://(?:[^/?#@]*@)?(?<host>[\w.:\[\]-]+)(?:,\s*(?<host>[\w.:\[\]-]+)(?!//))*)+(?:[/?#][^@]*)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Addresses();

    /// <summary>Words of a connection string, but not what looks like one in quotes, or as the value of another.</summary>
    [GeneratedRegex(@"'(?:\\.|[^'\\])*'|(?<![^\s;])(?<word>(?:host|hostaddr|port|dbname|database)=[\w.:/,-]+)")]
    private static partial Regex HostWords();

    private string Shown(string name)
    {
        if (!_values.TryGetValue(name, out var value))
            return "not there";
        var isSecret = value.IsSecret
            || SecretNames.Any(part => name.Contains(part, StringComparison.OrdinalIgnoreCase))
            || SecretWords.Any(part => value.Value.Contains(part, StringComparison.OrdinalIgnoreCase));
        return isSecret ? "another one (not shown, since it may hold a secret)" : $"\"{value.Value}\"";
    }

    internal static bool IsTruthy(string value) => value.Trim().ToUpperInvariant() is "Y" or "YES" or "TRUE" or "T" or "ON" or "1";

    private static bool IsFalsy(string value) => value.Trim().ToUpperInvariant() is "N" or "NO" or "FALSE" or "F" or "OFF" or "0";
}
