using System.Collections;

namespace EmbeddedSidecar.Components.Secrets.LocalEnv;

/// <summary>secretstores.local.env: the environment of this process, or the part of it with a prefix. What is not there is empty, not an error.</summary>
internal sealed class LocalEnvSecretStore(string prefix) : ISecretStore
{
    public static ComponentType ComponentType { get; } = new(
        "secretstores.local.env",
        "v1",
        ["prefix"],
        (metadata, _, _) => Task.FromResult<IAsyncDisposable>(new LocalEnvSecretStore(metadata.Text("prefix", ""))));

    public Task<IReadOnlyDictionary<string, string>> GetAsync(string key, CancellationToken cancellationToken)
    {
        var variable = prefix + key;
        var value = EnvironmentSecrets.MayRead(variable) ? Environment.GetEnvironmentVariable(variable) ?? "" : "";
        return Task.FromResult<IReadOnlyDictionary<string, string>>(new Dictionary<string, string> { [key] = value });
    }

    public Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> GetAllAsync(CancellationToken cancellationToken)
    {
        var all = new Dictionary<string, IReadOnlyDictionary<string, string>>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            var name = (string)variable.Key;
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && EnvironmentSecrets.MayRead(name))
                all[name[prefix.Length..]] = new Dictionary<string, string> { [name[prefix.Length..]] = (string?)variable.Value ?? "" };
        }

        return Task.FromResult<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>>(all);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
