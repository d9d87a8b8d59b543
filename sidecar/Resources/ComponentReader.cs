namespace DaprOrders.Sidecar.Resources;

/// <summary>Reads <c>kind: Component</c> and <c>kind: HTTPEndpoint</c>, which share their name/value lists.</summary>
internal static class ComponentReader
{
    public static ComponentResource ReadComponent(YamlMap document, string name)
    {
        var spec = document.RequiredMap("spec");
        var type = spec?.RequiredText("type", "a component type such as state.redis") ?? "";
        if (type.Length > 0 && !type.Contains('.', StringComparison.Ordinal))
            spec!.Error($"expected a component type such as state.redis, got \"{type}\"", "type");

        var component = new ComponentResource(
            name,
            type,
            spec?.RequiredText("version", "a version such as v1") ?? "",
            ReadItems(spec, "metadata"),
            spec?.Flag("ignoreErrors") ?? false,
            spec?.Duration("initTimeout"),
            ReadSecretStore(document),
            document.Texts("scopes"),
            document.Location);
        spec?.EndOfFields();
        RequireSecretStore(document, component.Metadata, component.SecretStore);
        return component;
    }

    public static HttpEndpointResource ReadHttpEndpoint(YamlMap document, string name)
    {
        var spec = document.RequiredMap("spec");
        var baseUrl = spec?.RequiredText("baseUrl", "an address such as https://api.example.com") ?? "";
        if (baseUrl.Length > 0 && !(Uri.TryCreate(baseUrl, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"))
            spec!.Error($"expected an address that starts with http:// or https://, got \"{baseUrl}\"", "baseUrl");
        if (spec?.Has("clientTLS") == true)
            spec.Error("client certificates are not supported by the embedded sidecar", "clientTLS");

        var endpoint = new HttpEndpointResource(
            name,
            baseUrl,
            ReadItems(spec, "headers"),
            ReadSecretStore(document),
            document.Texts("scopes"),
            document.Location);
        spec?.EndOfFields();
        RequireSecretStore(document, endpoint.Headers, endpoint.SecretStore);
        return endpoint;
    }

    private static List<MetadataItem> ReadItems(YamlMap? spec, string field)
    {
        var items = new List<MetadataItem>();
        foreach (var map in spec?.Maps(field) ?? [])
        {
            var item = ReadItem(map);
            if (items.Exists(i => i.Name.Equals(item.Name, StringComparison.OrdinalIgnoreCase)))
                map.Error($"\"{item.Name}\" is given twice", "name");
            else if (item.Name.Length > 0)
                items.Add(item);
        }

        return items;
    }

    private static MetadataItem ReadItem(YamlMap map)
    {
        var name = map.RequiredText("name", "the name of a field");
        var value = map.Text("value");
        var environmentVariable = map.Text("envRef");
        var secret = map.Map("secretKeyRef") is { } reference ? ReadSecretKeyRef(reference) : null;
        if ((value, secret, environmentVariable) is not ((null, null, _) or (null, _, null) or (_, null, null)))
            map.Error("expected one of value, secretKeyRef and envRef, got several");
        if (environmentVariable is not null && IsDenied(environmentVariable))
            map.Error($"Dapr gives components no access to the variable \"{environmentVariable}\"", "envRef");
        map.EndOfFields();

        var hasReference = secret is not null || environmentVariable is not null;
        return new(name, hasReference ? null : value ?? "", secret, secret is null ? environmentVariable : null, map.Location);
    }

    private static SecretKeyRef ReadSecretKeyRef(YamlMap map)
    {
        var name = map.RequiredText("name", "the name of a secret");
        var key = map.Text("key");
        map.EndOfFields();
        return new(name, string.IsNullOrEmpty(key) ? name : key);
    }

    /// <summary>pkg/apis: what a component's file may not read from the sidecar's environment.</summary>
    private static bool IsDenied(string variable) =>
        variable.Contains(' ', StringComparison.Ordinal)
        || variable.Equals("APP_API_TOKEN", StringComparison.OrdinalIgnoreCase)
        || variable.StartsWith("DAPR_", StringComparison.OrdinalIgnoreCase);

    private static string? ReadSecretStore(YamlMap document)
    {
        var auth = document.Map("auth");
        var store = auth?.RequiredText("secretStore", "the name of a secret store component");
        auth?.EndOfFields();
        return store;
    }

    private static void RequireSecretStore(YamlMap document, IReadOnlyList<MetadataItem> items, string? secretStore)
    {
        if (secretStore is null && items.FirstOrDefault(i => i.Secret is not null) is { } item)
            document.Error($"\"{item.Name}\" has a secretKeyRef; expected auth.secretStore to name the secret store, got nothing");
    }
}
