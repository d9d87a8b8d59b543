using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Components.Secrets;

/// <summary>Puts the value in place of a <c>secretKeyRef</c> or an <c>envRef</c>.</summary>
internal static class SecretReferences
{
    public static async Task<string> ResolveAsync(
        MetadataItem item,
        string? secretStore,
        IEnumerable<LoadedComponent> loaded,
        CancellationToken cancellationToken)
    {
        if (item.EnvironmentVariable is { } variable)
        {
            return EnvironmentSecrets.MayRead(variable)
                ? Environment.GetEnvironmentVariable(variable) ?? ""
                : throw new ResourceException(
                    item.Location, $"metadata field '{item.Name}': envRef may not read '{variable}' (APP_API_TOKEN, DAPR_* and names with spaces are closed)");
        }

        if (item.Secret is not { } secret)
            return item.Value ?? "";

        if (secretStore is null)
            throw new ResourceException(item.Location, $"metadata field '{item.Name}' has a secretKeyRef, but the component names no auth.secretStore");

        if (loaded.FirstOrDefault(component => component.Name == secretStore)?.Instance is not ISecretStore store)
        {
            throw new ResourceException(
                item.Location, $"metadata field '{item.Name}': the secret store '{secretStore}' is not loaded; declare it, and mind its scopes");
        }

        var key = secret.Key.Length == 0 ? secret.Name : secret.Key;
        try
        {
            var values = await store.GetAsync(secret.Name, cancellationToken);
            return values.TryGetValue(key, out var value)
                ? value
                : throw new ResourceException(item.Location, $"metadata field '{item.Name}': secret '{secret.Name}' of '{secretStore}' has no key '{key}'");
        }
        catch (KeyNotFoundException e)
        {
            throw new ResourceException(item.Location, $"metadata field '{item.Name}': '{secretStore}' has no secret '{secret.Name}'", e);
        }
    }
}
