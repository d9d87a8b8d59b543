namespace EmbeddedSidecar.Api;

/// <summary>Where daprd takes a POST it takes a PUT as well.</summary>
internal static class Verbs
{
    public static readonly string[] PostAndPut = ["POST", "PUT"];
}
