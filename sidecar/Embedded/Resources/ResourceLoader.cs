using System.Text.RegularExpressions;

namespace EmbeddedSidecar.Resources;

/// <summary>
/// Reads resources folders as daprd does (*.yaml and *.yml directly in each folder, several documents in a file), but not in silence: of what
/// daprd passes over, a warning says what is lost by it. All mistakes of all files are gathered before anything is thrown.
/// </summary>
internal static partial class ResourceLoader
{
    private const string Version1 = "dapr.io/v1alpha1";

    /// <summary>What the folders of one application declare, before scopes are applied.</summary>
    /// <exception cref="ResourceException">Every mistake found that keeps Dapr from starting.</exception>
    public static ResourceSet Load(IEnumerable<string> folders)
    {
        var errors = new List<ResourceError>();
        var resources = Load(folders, errors);
        ResourceException.ThrowIfAny(errors);
        return resources with { Warnings = ResourceException.InOrder(errors) };
    }

    /// <summary>The resources of a YAML text, one or several documents.</summary>
    /// <exception cref="ResourceException">Every mistake found that keeps Dapr from starting.</exception>
    public static ResourceSet Read(string yaml)
    {
        var errors = new List<ResourceError>();
        var found = new Found();
        ReadText(nameof(EmbeddedDaprOptions.Resources), yaml, found, errors);
        errors.AddRange(found.Unreadable);
        ResourceChecks.Check(found, errors);
        ResourceException.ThrowIfAny(errors);
        return new(found.Components, found.Subscriptions, found.Resiliencies, found.HttpEndpoints)
        {
            Warnings = ResourceException.InOrder(errors),
            Unreadable = found.Unreadable,
        };
    }

    /// <summary>The first Configuration of a file, with <c>${NAME}</c> and <c>$NAME</c> replaced from the environment.</summary>
    /// <exception cref="ResourceException">Every mistake found that keeps Dapr from starting.</exception>
    public static ConfigurationResource LoadConfiguration(string file)
    {
        var errors = new List<ResourceError>();
        var configuration = LoadConfiguration(file, errors);
        ResourceException.ThrowIfAny(errors);
        return configuration with { Warnings = ResourceException.InOrder(errors) };
    }

    internal static ResourceSet Load(IEnumerable<string> folders, List<ResourceError> errors)
    {
        var found = new Found();
        foreach (var folder in folders.Select(Path.GetFullPath).Distinct())
        {
            if (!Directory.Exists(folder))
            {
                var what = File.Exists(folder) ? "expected a folder with resource files, got a file" : "expected a folder with resource files; it does not exist";
                errors.Add(new(new(folder, 0), what));
                continue;
            }

            var files = Directory.EnumerateFiles(folder).Where(IsRead);
            foreach (var file in files.Order(StringComparer.Ordinal))
                ReadText(file, File.ReadAllText(file), found, errors);
        }

        errors.AddRange(found.Unreadable);
        ResourceChecks.Check(found, errors);
        return new(found.Components, found.Subscriptions, found.Resiliencies, found.HttpEndpoints) { Unreadable = found.Unreadable };
    }

    internal static bool IsRead(string file) => Path.GetExtension(file).ToUpperInvariant() is ".YAML" or ".YML";

    internal static ConfigurationResource LoadConfiguration(string file, List<ResourceError> errors)
    {
        if (!File.Exists(file))
        {
            errors.Add(new(new(file, 0), "expected a file with a Configuration; it does not exist"));
            return ConfigurationResource.Default;
        }

        var text = EnvironmentVariable().Replace(File.ReadAllText(file), m =>
            Environment.GetEnvironmentVariable(m.Groups["name"].Value) ?? "");
        var malformed = errors.Count;
        if (YamlMap.Documents(file, text, errors) is not [var document, ..])
        {
            if (errors.Count == malformed)
                errors.Add(new(new(file, 0), "expected a Configuration, got an empty file"));
            return ConfigurationResource.Default;
        }

        if (ReadHeader(document) is not (Version1, "Configuration", var name))
        {
            name = "";
            document.Warning("expected apiVersion dapr.io/v1alpha1 and kind Configuration, got "
                + $"{document.Text("apiVersion") ?? "no apiVersion"} and {document.Text("kind") ?? "no kind"}; Dapr takes it for a Configuration");
        }

        var configuration = ConfigurationReader.Read(document, name);
        document.EndOfFields();
        errors.AddRange(document.Findings.All);
        return configuration;
    }

    private static void ReadText(string file, string text, Found found, List<ResourceError> errors)
    {
        var malformed = new List<ResourceError>();
        var documents = YamlMap.DocumentsOneByOne(file, text, malformed);
        found.Unreadable.AddRange(malformed.Select(e => e with { Message = $"{e.Message}; Dapr passes over this document", IsWarning = true }));
        for (var i = 0; i < documents.Count; i++)
            ReadDocument(documents[i], isFirst: i == 0, found, errors);
    }

    private static void ReadDocument(YamlMap document, bool isFirst, Found found, List<ResourceError> errors)
    {
        var (apiVersion, kind, name) = ReadHeader(document);
        Action? take = (kind, apiVersion) switch
        {
            ("Component" or "HTTPEndpoint" or "Subscription", Version1 or SubscriptionReader.Version2) when name is "." or ".." || name.IndexOfAny(['/', '%']) >= 0 =>
                LeftOut(null, $"metadata.name: expected a name without / and %, got \"{name}\"; Dapr leaves this {kind} out"),
            ("Component", Version1) when name.Length > 0 => Taken(found.Components, ComponentReader.ReadComponent(document, name)),
            ("HTTPEndpoint", Version1) when name.Length > 0 => Taken(found.HttpEndpoints, ComponentReader.ReadHttpEndpoint(document, name)),
            ("Component" or "HTTPEndpoint", Version1) => LeftOut(null, "expected metadata.name, got nothing; Dapr leaves this out"),
            ("Subscription", SubscriptionReader.Version1 or SubscriptionReader.Version2) =>
                SubscriptionReader.Read(document, name, apiVersion) is { } subscription ? Taken(found.Subscriptions, subscription) : null,
            ("Resiliency", _) when isFirst => ReadResiliency(),
            ("Resiliency", _) => LeftOut("kind", "Dapr reads a Resiliency only where it is the first document of its file, and passes over this one: give it a file of its own"),
            // Takes effect only as a configFilePath; here it is only looked at.
            ("Configuration", Version1) => Taken([], ConfigurationReader.Read(document, name)),
            ("Component" or "HTTPEndpoint" or "Subscription" or "Configuration", _) => LeftOut(
                "apiVersion",
                $"expected {(kind == "Subscription" ? $"{SubscriptionReader.Version2} or {Version1}" : Version1)}, got {Shown(apiVersion)}; Dapr passes over this {kind}"),
            ("MCPServer" or "WorkflowAccessPolicy", _) => LeftOut("kind", $"{kind} is not supported by the embedded sidecar, which passes over it"),
            _ => LeftOut("kind", $"expected Component, Subscription, Resiliency, HTTPEndpoint or Configuration, got {Shown(kind)}; Dapr passes over this document"),
        };
        if (take is null)
        {
            errors.AddRange(document.Findings.AsLoss("Dapr passes over this document"));
            return;
        }

        // The rest of a Kubernetes object's metadata: Dapr takes it and makes no use of it here.
        var metadata = document.Map("metadata");
        metadata?.Skip("name", "namespace", "labels", "annotations", "creationTimestamp", "generateName", "uid", "resourceVersion", "generation");
        metadata?.EndOfFields();
        document.EndOfFields();
        var findings = document.Findings;
        if (findings.IsUnreadable)
        {
            found.Unreadable.AddRange(findings.AsLoss($"Dapr cannot read this, and leaves the {kind} out"));
        }
        else if (kind == "Resiliency" && findings.HasErrors)
        {
            errors.AddRange(findings.AsLoss("Dapr takes no target of this Resiliency, and runs without its retries, timeouts and circuit breakers"));
        }
        else
        {
            errors.AddRange(findings.All);
            take();
        }

        Action? LeftOut(string? field, string why)
        {
            document.Warning(why, field);
            return null;
        }

        Action ReadResiliency()
        {
            if (apiVersion != Version1)
                document.Warning($"expected {Version1}, got {Shown(apiVersion)}; Dapr does not look at it, and takes this Resiliency", "apiVersion");
            var references = new List<PolicyReference>();
            var resiliency = ResiliencyReader.Read(document, name, references);
            return () =>
            {
                found.Resiliencies.Add(resiliency);
                found.PolicyReferences.AddRange(references);
            };
        }

        static Action Taken<T>(List<T> all, T one) => () => all.Add(one);
    }

    private static (string ApiVersion, string Kind, string Name) ReadHeader(YamlMap document)
    {
        var apiVersion = document.Text("apiVersion") ?? "";
        var kind = document.Text("kind") ?? "";
        return (apiVersion, kind, document.Map("metadata")?.Text("name") ?? "");
    }

    private static string Shown(string text) => text.Length == 0 ? "nothing" : $"\"{text}\"";

    /// <summary>As Go's os.ExpandEnv, which daprd puts a Configuration through; an unset variable becomes empty.</summary>
    [GeneratedRegex(@"\$(?:\{(?<name>[^}]*)\}|(?<name>[A-Za-z_][A-Za-z0-9_]*))")]
    private static partial Regex EnvironmentVariable();

    internal sealed class Found
    {
        public List<ComponentResource> Components { get; } = [];

        public List<SubscriptionResource> Subscriptions { get; } = [];

        public List<ResiliencyResource> Resiliencies { get; } = [];

        public List<HttpEndpointResource> HttpEndpoints { get; } = [];

        public List<PolicyReference> PolicyReferences { get; } = [];

        public List<ResourceError> Unreadable { get; } = [];
    }
}
