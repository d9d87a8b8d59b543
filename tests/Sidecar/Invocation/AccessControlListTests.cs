using DaprOrders.Sidecar.Tests.Resources;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>What daprd decides by a table: its own cases (dapr pkg/acl/acl_test.go), and those of its trie that nobody expects.</summary>
public sealed class AccessControlListTests
{
    private const string Daprd = """
          defaultAction: deny
          trustDomain: abcd
          policies:
          - {appId: app1, defaultAction: allow, trustDomain: public, namespace: ns1, operations: [
              {name: /op1, httpVerb: [POST, GET], action: allow}, {name: /op2, httpVerb: ["*"], action: deny}]}
          - {appId: app2, defaultAction: deny, trustDomain: domain1, namespace: ns2, operations: [
              {name: "/op3/a/*", httpVerb: [PUT, GET], action: allow}, {name: op4, httpVerb: [POST], action: allow}]}
          - {appId: app3, trustDomain: domain1, namespace: ns1, operations: [{name: /op5, httpVerb: [POST], action: allow}]}
          - {appId: app4, defaultAction: deny, trustDomain: domain1, namespace: ns2, operations: [
              {name: /op6, action: allow}, {name: "/op7/a/b/*", action: allow}, {name: /op7/a/b/c/f, action: allow}, {name: "/op7/a/b*", action: allow}, {name: "/op7/c/**", action: allow}]}
          - {appId: app1, defaultAction: allow, trustDomain: public, namespace: ns4, operations: [{name: /op6, httpVerb: ["*"], action: allow}]}
        """;

    [Theory]
    [InlineData("public/ns1/appX", "POST op1", false)]
    [InlineData("private/ns1/app1", "POST op1", false)]
    [InlineData("public/abcd/app1", "POST op1", false)]
    [InlineData(null, "POST op1", false)]
    [InlineData("public/ns1/app1", "POST opX", true)]
    [InlineData("public/ns1/app1", "POST Op2", false)]
    [InlineData("public/ns1/app1", "PUT op2", false)]
    [InlineData("public/ns4/app1", "PUT op6", true)]
    [InlineData("domain1/ns2/app2", "PUT op4", false)]
    [InlineData("domain1/ns2/app2", "POST op4", true)]
    [InlineData("domain1/ns2/app2", "POST /op4", true)]
    [InlineData("domain1/ns2/app2", "PUT /op3/a", true)]
    [InlineData("domain1/ns2/app2", "PUT /op3/a/b", true)]
    [InlineData("domain1/ns2/app2", "PUT /op3/b/b", false)]
    [InlineData("domain1/ns1/app3", "PUT op5", false)]
    [InlineData("domain1/ns1/app3", "POST op5", true)]
    public void An_app_of_HTTP_is_called_by_path_and_verb(string? caller, string call, bool allowed) => Check(isHttp: true, caller, call, allowed);

    [Theory]
    [InlineData("domain1/ns2/app2", "op4", true)]
    [InlineData("domain1/ns2/app2", "/OP4", false)]
    [InlineData("domain1/ns2/app4", "op6", true)]
    [InlineData("domain1/ns2/app4", "op7/a/b/c", true)]
    [InlineData("domain1/ns2/app4", "op7/a/b/c/d", false)]
    [InlineData("domain1/ns2/app4", "op7/a/b/c/f", true)]
    [InlineData("domain1/ns2/app4", "op7/a/bc", true)]
    [InlineData("domain1/ns2/app4", "op7/c/d/e", true)]
    public void An_app_of_gRPC_is_called_by_the_name_as_it_is_written_alone(string caller, string operation, bool allowed) =>
        Check(isHttp: false, caller, $"NONE {operation}", allowed);

    [Theory]
    [InlineData("{name: /x, httpVerb: [GET], action: allow}, {name: /x/y, httpVerb: [POST], action: allow}", "POST /x/y", false)]
    [InlineData("{name: /x, httpVerb: [GET], action: allow}, {name: /x/y, httpVerb: [POST], action: allow}", "GET /x/y", true)]
    [InlineData("{name: /x/y, httpVerb: [POST], action: allow}, {name: /x/**, httpVerb: [GET], action: allow}", "GET /x/y", false)]
    [InlineData("{name: /x/y, httpVerb: [POST], action: allow}, {name: /x/**, httpVerb: [GET], action: allow}", "GET /x/y/z", false)]
    [InlineData("{name: /x/y, httpVerb: [POST], action: allow}, {name: /x/**, httpVerb: [GET], action: allow}", "GET /x", true)]
    [InlineData("{name: '/x/*/z', httpVerb: ['*'], action: allow}", "GET /x/y/z", false)]
    [InlineData("{name: '/x/**/z', httpVerb: ['*'], action: allow}", "GET /x/y/z", true)]
    [InlineData("{name: '/x/**/z', httpVerb: ['*'], action: allow}", "GET /x/y/y/z", false)]
    [InlineData("{name: '/x/y*z', httpVerb: ['*'], action: allow}", "GET /x/yz", true)]
    [InlineData("{name: '/x/y*z', httpVerb: ['*'], action: allow}", "GET /x/y.a.z/more", true)]
    [InlineData("{name: '/x/y*z', httpVerb: ['*'], action: allow}", "GET /x/yza", false)]
    [InlineData("{name: /x, action: allow}", "GET /x", false)]
    [InlineData("{name: /x, httpVerb: [GET], action: deny}, {name: /x, httpVerb: [GET], action: allow}", "GET /x", false)]
    public void The_first_operation_on_the_way_down_a_path_decides(string operations, string call, bool allowed)
    {
        var list = List($"  defaultAction: deny\n  policies: [{{appId: a, trustDomain: public, namespace: default, operations: [{operations}]}}]\n", isHttp: true);

        Assert.Equal(allowed, Allows(list, "public/default/a", call));
    }

    [Theory]
    [InlineData("defaultAction: allow", true)]
    [InlineData("defaultAction: Deny", false)]
    [InlineData("{}", true)]
    [InlineData("trustDomain: public", true)]
    [InlineData("policies: []", true)]
    [InlineData("policies: [{appId: b, trustDomain: public, namespace: default}]", true)]
    public void For_whom_no_policy_is_there_the_default_counts(string fields, bool allowed) =>
        Assert.Equal(allowed, Allows(List($"  {fields}\n", isHttp: true), "public/default/a", "GET /x"));

    private static void Check(bool isHttp, string? caller, string call, bool allowed) => Assert.Equal(allowed, Allows(List(Daprd, isHttp), caller, call));

    private static bool Allows(AccessControlList list, string? caller, string call)
    {
        var (verb, operation) = call.Split(' ') is [var first, var second] ? (first, second) : throw new ArgumentException($"Expected a verb and a path, got {call}.", nameof(call));
        return list.Allows(caller?.Split('/') is [var domain, var space, var app] ? new CallerIdentity(domain, space, app) : null, operation, verb);
    }

    private static AccessControlList List(string fields, bool isHttp) => new(Load($"\n{fields}").AccessControl!, isHttp);

    private static ConfigurationResource Load(string fields)
    {
        using var folder = new ResourceFolder().With(
            "config.yaml", $"apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: cfg}}\nspec:\n accessControl: {fields}\n");
        return ResourceLoader.LoadConfiguration(Path.Combine(folder.Path, "config.yaml"));
    }
}
