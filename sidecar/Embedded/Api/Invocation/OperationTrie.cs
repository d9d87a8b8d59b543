using System.Text.RegularExpressions;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>
/// The operations of one caller's policy. Down a path part by part, the first operation on the way decides, and the others are not looked at
/// (dapr pkg/config/acl_trie.go).
/// </summary>
internal sealed class OperationTrie
{
    private const string OnePart = "*";
    private const string AllParts = "**";

    private readonly Node _root = new("");

    /// <summary>Of two with one name the first counts.</summary>
    public void Add(string name, AccessOperation operation) => _root.Add(Parts(name), operation);

    public AccessOperation? Find(string path) => _root.Find(Parts(path));

    private static string[] Parts(string path) => (path.StartsWith('/') ? path[1..] : path).Split('/');

    private sealed class Node(string part)
    {
        private readonly List<Node> _below = [];

        /// <summary>Where the part has stars among other characters.</summary>
        private readonly Regex? _pattern = part.Contains('*', StringComparison.Ordinal) && part is not (OnePart or AllParts)
            ? new($@"\A{Regex.Escape(part).Replace(@"\*", ".*", StringComparison.Ordinal)}\z", RegexOptions.Singleline | RegexOptions.NonBacktracking)
            : null;

        private AccessOperation? _operation;

        public void Add(ReadOnlySpan<string> parts, AccessOperation operation)
        {
            var part = parts[0];
            var next = _below.Find(node => node.Part == part);
            if (next is null)
                _below.Add(next = new Node(part));
            if (parts.Length == 1)
                next._operation ??= operation;
            else
                next.Add(parts[1..], operation);
        }

        public AccessOperation? Find(ReadOnlySpan<string> parts)
        {
            var isLast = parts.Length == 1;
            if (Below(parts[0], isLast) is not { } next)
                return null;
            if (next._operation is { } found && (isLast || next.Part != OnePart))
                return found;
            // A path is also matched by a star behind it.
            return isLast ? next.Below(OnePart, isLast: true)?._operation : next.Find(parts[1..]);
        }

        private string Part { get; } = part;

        private Node? Below(string part, bool isLast) => _below.Find(node =>
            node.Part == part || (node.Part == OnePart ? isLast : node.Part == AllParts || node._pattern?.IsMatch(part) == true));
    }
}
