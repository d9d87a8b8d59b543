using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests;

/// <summary>
/// Decides calls by spec.accessControl of a Configuration as daprd does (1.18: pkg/acl/acl.go, pkg/config/acl_trie.go): down the path part by part, the first
/// operation on the way decides, whether it allows the verb or not.
/// </summary>
internal sealed class AccessControl(JsonObject configuration)
{
    private const string OnePart = "*";
    private const string AllParts = "**";

    private readonly JsonObject _rules = configuration["spec"]!["accessControl"]!.AsObject();

    public bool Allows(string caller, string verb, string path)
    {
        var policy = _rules["policies"]!.AsArray().Select(one => one!.AsObject()).SingleOrDefault(one => Overlay.Text(one["appId"]) == caller);
        if (policy is null)
            return IsAllow(_rules["defaultAction"]);
        var root = new Node("");
        foreach (var operation in policy["operations"]!.AsArray().Select(one => one!.AsObject()))
            root.Add(Parts(Overlay.Text(operation["name"])), operation);
        return root.Find(Parts(path)) is { } found && found["httpVerb"]!.AsArray().Select(Overlay.Text).Any(allowed => allowed == OnePart || allowed == verb)
            ? IsAllow(found["action"])
            : IsAllow(policy["defaultAction"]);
    }

    private static string[] Parts(string path) => path.TrimStart('/').Split('/');

    private static bool IsAllow(JsonNode? action) => Overlay.Text(action) == "allow";

    private sealed class Node(string part)
    {
        private readonly List<Node> _below = [];
        private JsonObject? _operation;

        public void Add(ReadOnlySpan<string> parts, JsonObject operation)
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

        public JsonObject? Find(ReadOnlySpan<string> parts)
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
            node.Part == part || (node.Part == OnePart ? isLast : node.Part == AllParts));
    }
}
