namespace EmbeddedSidecar.Resources;

/// <summary>The mistakes in one YAML document.</summary>
internal sealed class YamlFindings
{
    private readonly List<ResourceError> _all = [];

    public IReadOnlyList<ResourceError> All => _all;

    /// <summary>Something has another shape than expected: Dapr's decoder then gives the whole document up.</summary>
    public bool IsUnreadable { get; private set; }

    public bool HasErrors => _all.Exists(e => !e.IsWarning);

    public void Add(ResourceError error) => _all.Add(error);

    public void AddUnreadable(ResourceError error)
    {
        IsUnreadable = true;
        _all.Add(error);
    }

    /// <summary>All as warnings, the errors with what they cost: Dapr goes on without the document.</summary>
    public IEnumerable<ResourceError> AsLoss(string loss) =>
        _all.Select(e => e.IsWarning ? e : e with { Message = $"{e.Message}; {loss}", IsWarning = true });
}
