using System.Text.RegularExpressions;

namespace DaprOrders.Sidecar.Resources;

/// <summary>
/// Reads resources folders as daprd does (*.yaml and *.yml directly in each folder, several documents in a file), but strictly: what
/// daprd passes over in silence, and loses messages by, is an error here. All mistakes of all files are gathered before anything is thrown.
/// </summary>
public static partial class ResourceLoader
{
    private const string Version1 = "dapr.io/v1alpha1";

    /// <summary>What the folders of one application declare, before scopes are applied.</summary>
    /// <exception cref="ResourceException">Every mistake found.</exception>
    public static ResourceSet Load(IEnumerable<string> folders)
    {
        var errors = new List<ResourceError>();
        var resources = Load(folders, errors);
        ResourceException.ThrowIfAny(errors);
        return resources;
    }

    /// <summary>The first Configuration of a file, with <c>${NAME}</c> and <c>$NAME</c> replaced from the environment.</summary>
    /// <exception cref="ResourceException">Every mistake found.</exception>
    public static ConfigurationResource LoadConfiguration(string file)
    {
        var errors = new List<ResourceError>();
        var configuration = LoadConfiguration(file, errors);
        ResourceException.ThrowIfAny(errors);
        return configuration;
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

            var files = Directory.EnumerateFiles(folder).Where(f => Path.GetExtension(f).ToUpperInvariant() is ".YAML" or ".YML");
            foreach (var file in files.Order(StringComparer.Ordinal))
                ReadFile(file, found, errors);
        }

        ResourceChecks.Check(found, errors);
        return new(found.Components, found.Subscriptions, found.Resiliencies, found.HttpEndpoints);
    }

    internal static ConfigurationResource LoadConfiguration(string file, List<ResourceError> errors)
    {
        if (!File.Exists(file))
        {
            errors.Add(new(new(file, 0), "expected a file with a Configuration; it does not exist"));
            return ConfigurationResource.Default;
        }

        var text = EnvironmentVariable().Replace(File.ReadAllText(file), m =>
            Environment.GetEnvironmentVariable(m.Groups["name"].Value) ?? "");
        foreach (var document in YamlMap.Documents(file, text, errors))
        {
            if (ReadHeader(document) is (Version1, "Configuration", var name))
            {
                var configuration = ConfigurationReader.Read(document, name);
                document.EndOfFields();
                return configuration;
            }

            document.Error("expected apiVersion dapr.io/v1alpha1 and kind Configuration, got "
                + $"{document.Text("apiVersion") ?? "no apiVersion"} and {document.Text("kind") ?? "no kind"}");
        }

        if (errors.Count == 0)
            errors.Add(new(new(file, 0), "expected a Configuration, got an empty file"));
        return ConfigurationResource.Default;
    }

    private static void ReadFile(string file, Found found, List<ResourceError> errors)
    {
        var documents = YamlMap.Documents(file, File.ReadAllText(file), errors);
        for (var i = 0; i < documents.Count; i++)
            ReadDocument(documents[i], isFirst: i == 0, found);
    }

    private static void ReadDocument(YamlMap document, bool isFirst, Found found)
    {
        var (apiVersion, kind, name) = ReadHeader(document);
        switch (kind, apiVersion)
        {
            case ("Component", Version1):
                found.Components.Add(ComponentReader.ReadComponent(document, name));
                break;
            case ("HTTPEndpoint", Version1):
                found.HttpEndpoints.Add(ComponentReader.ReadHttpEndpoint(document, name));
                break;
            case ("Subscription", SubscriptionReader.Version1 or SubscriptionReader.Version2):
                found.Subscriptions.Add(SubscriptionReader.Read(document, name, apiVersion));
                break;
            case ("Resiliency", Version1):
                if (!isFirst)
                    document.Error("Dapr reads a Resiliency only where it is the first document of its file: move it to a file of its own", "kind");
                found.Resiliencies.Add(ResiliencyReader.Read(document, name, found.PolicyReferences));
                break;
            case ("Configuration", Version1):
                // Takes effect only as a configFilePath; here it is only checked.
                _ = ConfigurationReader.Read(document, name);
                break;
            case ("Component" or "HTTPEndpoint" or "Subscription" or "Resiliency" or "Configuration", _):
                var expected = kind == "Subscription" ? $"{SubscriptionReader.Version2} or {Version1}" : Version1;
                document.Error($"expected {expected}, got {(apiVersion.Length == 0 ? "nothing" : $"\"{apiVersion}\"")}", "apiVersion");
                return;
            case ("MCPServer" or "WorkflowAccessPolicy", _):
                document.Error($"{kind} is not supported by the embedded sidecar", "kind");
                return;
            default:
                document.Error("expected Component, Subscription, Resiliency, HTTPEndpoint or Configuration, got "
                    + (kind.Length == 0 ? "nothing" : $"\"{kind}\""), "kind");
                return;
        }

        document.EndOfFields();
    }

    private static (string ApiVersion, string Kind, string Name) ReadHeader(YamlMap document)
    {
        var apiVersion = document.Text("apiVersion") ?? "";
        var kind = document.Text("kind") ?? "";
        var metadata = document.Map("metadata");
        var name = metadata?.Text("name") ?? "";
        // The rest of a Kubernetes object's metadata: Dapr takes it and makes no use of it here.
        metadata?.Skip("namespace", "labels", "annotations", "creationTimestamp", "generateName", "uid", "resourceVersion", "generation");
        metadata?.EndOfFields();
        if (name.Length == 0 && kind is "Component" or "HTTPEndpoint")
            document.Error("expected metadata.name, got nothing");
        return (apiVersion, kind, name);
    }

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
    }
}
