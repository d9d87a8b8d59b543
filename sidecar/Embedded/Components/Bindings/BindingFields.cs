namespace EmbeddedSidecar.Components.Bindings;

/// <summary>Metadata fields that daprd itself reads of every binding (pkg/runtime/processor/binding).</summary>
internal static class BindingFields
{
    /// <summary>The path at which an application takes the events of an input binding; its name where it is not given.</summary>
    public const string Route = "route";

    /// <summary><c>input</c>, <c>output</c>, or both.</summary>
    public const string Direction = "direction";

    /// <summary>The operation after which a binding takes no other one of this application.</summary>
    public const string Close = "close";
}
