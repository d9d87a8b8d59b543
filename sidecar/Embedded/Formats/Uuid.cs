namespace EmbeddedSidecar.Formats;

/// <summary>UUIDs as daprd gives them to what nobody has to be unable to guess, ETags and entries of a delivery; the system is not asked for random numbers.</summary>
internal static class Uuid
{
    public static string Next()
    {
        Span<byte> bytes = stackalloc byte[16];
        Random.Shared.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }
}
