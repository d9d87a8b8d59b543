namespace EmbeddedSidecar.Components.Bindings;

/// <summary>A way out of the system: bindings.http, bindings.localstorage.</summary>
internal interface IOutputBinding : IAsyncDisposable
{
    IReadOnlyList<string> Operations { get; }

    /// <summary>Null where the operation has no answer.</summary>
    /// <exception cref="BindingException">With daprd's text.</exception>
    Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken);
}

/// <param name="Operation">One of <see cref="IOutputBinding.Operations"/>.</param>
/// <param name="Data">JSON where it came over HTTP.</param>
/// <param name="Metadata">The names of its fields count with their case.</param>
internal sealed record BindingCall(string Operation, ReadOnlyMemory<byte> Data, IReadOnlyDictionary<string, string> Metadata);

internal sealed record BindingAnswer(byte[] Data, IReadOnlyDictionary<string, string> Metadata)
{
    public static IReadOnlyDictionary<string, string> NoMetadata { get; } = new Dictionary<string, string>();
}

/// <summary>A call failed. What is known of the answer all the same is its metadata.</summary>
internal sealed class BindingException(string message, Exception? inner = null, IReadOnlyDictionary<string, string>? metadata = null) : Exception(message, inner)
{
    public IReadOnlyDictionary<string, string> Metadata { get; } = metadata ?? BindingAnswer.NoMetadata;
}
