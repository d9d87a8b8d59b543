using EmbeddedSidecar.Components.Secrets;

namespace EmbeddedSidecar.Resources;

/// <summary>Reads <c>kind: Component</c> and <c>kind: HTTPEndpoint</c>, which share their name/value lists.</summary>
internal static class ComponentReader
{
    public static ComponentResource ReadComponent(YamlMap document, string name)
    {
        var spec = document.RequiredMap("spec");
        var type = spec?.RequiredText("type", "a component type such as state.redis") ?? "";
        if (type.Length > 0 && !type.Contains('.', StringComparison.Ordinal))
            spec!.Error($"expected a component type such as state.redis, got \"{type}\"", "type");
        var version = spec?.Text("version") ?? "";
        if (spec is not null && version.Length == 0)
            spec.Warning("expected a version such as v1, got nothing; Dapr takes v1", "version");

        var secretStore = ReadSecretStore(document);
        var component = new ComponentResource(
            name,
            type,
            version,
            ReadItems(spec, "metadata", secretStore),
            spec?.Flag("ignoreErrors") ?? false,
            spec?.Duration("initTimeout", otherwise: "5s"),
            secretStore,
            document.Texts("scopes"),
            document.Location)
        {
            Namespace = Namespace(document),
            NameLocation = NameLocation(document),
            TypeLocation = spec?.LocationOf("type") ?? document.Location,
            SecretStoreLocation = SecretStoreLocation(document),
        };
        spec?.EndOfFields();
        return component;
    }

    public static HttpEndpointResource ReadHttpEndpoint(YamlMap document, string name)
    {
        var spec = document.Map("spec");
        var baseUrl = spec?.Text("baseUrl") ?? "";
        if (!HttpEndpointResource.IsAddress(baseUrl))
        {
            (spec ?? document).Warning(
                $"expected an address that starts with http:// or https://, got {(baseUrl.Length == 0 ? "nothing" : $"\"{baseUrl}\"")}; Dapr starts, and fails every call of {name}",
                spec is null ? "spec" : "baseUrl");
        }

        if (spec?.Has("clientTLS") == true)
            spec.Error("client certificates are not supported by the embedded sidecar", "clientTLS");

        var secretStore = ReadSecretStore(document);
        var endpoint = new HttpEndpointResource(
            name,
            baseUrl,
            ReadItems(spec, "headers", secretStore),
            secretStore,
            document.Texts("scopes"),
            document.Location)
        {
            Namespace = Namespace(document),
            NameLocation = NameLocation(document),
            SecretStoreLocation = SecretStoreLocation(document),
        };
        spec?.EndOfFields();
        return endpoint;
    }

    private static string Namespace(YamlMap document) => document.Map("metadata")?.Text("namespace") ?? "";

    private static SourceLocation NameLocation(YamlMap document) => document.Map("metadata")?.LocationOf("name") ?? document.Location;

    private static SourceLocation SecretStoreLocation(YamlMap document) => document.Map("auth")?.LocationOf("secretStore") ?? document.Location;

    private static List<MetadataItem> ReadItems(YamlMap? spec, string field, string? secretStore)
    {
        var items = new List<MetadataItem>();
        foreach (var map in spec?.Maps(field) ?? [])
        {
            var item = ReadItem(map, secretStore);
            if (item.Name.Length == 0)
            {
                map.Warning("expected the name of a field, got nothing; Dapr makes no use of the value", "name");
                continue;
            }

            if (items.RemoveAll(i => i.Name.Equals(item.Name, StringComparison.OrdinalIgnoreCase)) > 0)
                map.Warning($"\"{item.Name}\" is given twice; Dapr takes this, the last one", "name");
            items.Add(item);
        }

        return items;
    }

    /// <summary>The order of the sources is that of pkg/runtime/processor/secret/secret.go.</summary>
    private static MetadataItem ReadItem(YamlMap map, string? secretStore)
    {
        var name = map.Text("name") ?? "";
        var value = map.AnyText("value");
        var variable = map.Text("envRef");
        var secret = map.Map("secretKeyRef") is { } reference ? ReadSecretKeyRef(reference) : null;
        map.EndOfFields();

        if (value is null && !string.IsNullOrEmpty(variable))
        {
            if (secret is not null)
                map.Warning("expected one of value, secretKeyRef and envRef, got several; Dapr takes envRef");
            if (EnvironmentSecrets.MayRead(variable))
                return new(name, null, null, variable, map.Location);
            map.Warning($"Dapr gives components no access to the variable \"{variable}\": \"{name}\" stays empty", "envRef");
            return new(name, "", null, null, map.Location);
        }

        if (secret is not null && secretStore is null)
        {
            map.Warning($"\"{name}\" has a secretKeyRef; expected auth.secretStore to name the secret store, got nothing: "
                + (value is null ? $"\"{name}\" stays empty" : "Dapr takes the value beside it"), "secretKeyRef");
            return new(name, value ?? "", null, null, map.Location);
        }

        if (value is not null && (secret is not null || variable is not null))
            map.Warning($"expected one of value, secretKeyRef and envRef, got several; Dapr takes {(secret is null ? "value" : "secretKeyRef")}");
        return secret is null ? new(name, value ?? "", null, null, map.Location) : new(name, null, secret, null, map.Location);
    }

    private static SecretKeyRef ReadSecretKeyRef(YamlMap map)
    {
        var name = map.RequiredText("name", "the name of a secret");
        var key = map.Text("key");
        map.EndOfFields();
        return new(name, string.IsNullOrEmpty(key) ? name : key);
    }

    private static string? ReadSecretStore(YamlMap document)
    {
        var auth = document.Map("auth");
        var store = auth?.Text("secretStore");
        auth?.EndOfFields();
        return string.IsNullOrEmpty(store) ? null : store;
    }
}
