namespace EmbeddedSidecar.Components.Secrets;

/// <summary>A secret store component (components-contrib/secretstores). A secret is a set of named values, most often one under its own name.</summary>
internal interface ISecretStore : IAsyncDisposable
{
    /// <exception cref="KeyNotFoundException">There is no such secret, and this store tells so.</exception>
    Task<IReadOnlyDictionary<string, string>> GetAsync(string key, CancellationToken cancellationToken);

    Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> GetAllAsync(CancellationToken cancellationToken);
}
