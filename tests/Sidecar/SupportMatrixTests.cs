using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Sidecar.Tests.Resources;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Sidecar.Tests;

/// <summary>docs/sidecar.md says what there is, and nothing that there is not.</summary>
public sealed partial class SupportMatrixTests : IDisposable
{
    private static readonly string Page = File.ReadAllText(RepositoryFiles.PathOf("docs", "sidecar.md")).ReplaceLineEndings("\n");

    private static readonly string Code = string.Join('\n', Directory
        .EnumerateFiles(RepositoryFiles.PathOf("sidecar", "Embedded"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText));

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string> ComponentTypeNames => new(ComponentTypes.All.Select(type => (type.Name, type.Version)));

    [Fact]
    public async Task Every_route_and_every_method_stands_there_and_no_other()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        var methods = new DaprGrpcMethods();
        SidecarApis.BindGrpc(methods);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddGrpc(options => options.IgnoreUnknownServices = true);
        builder.Services.AddSingleton<IServiceMethodProvider<SidecarRuntime>>(methods);
        await using var server = builder.Build();
        SidecarApis.MapHttp(server, dapr["one"].Runtime);
        server.MapGrpcService<SidecarRuntime>();
        var endpoints = ((IEndpointRouteBuilder)server).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>().ToList();

        AssertSame(
            endpoints.Where(endpoint => Method(endpoint) is null).SelectMany(Routes),
            Names("## HTTP API", "route").SelectMany(route => route.Split(' ') is [var verbs, var path] ? verbs.Split(',').Select(verb => $"{verb} {path}") : [route]));
        AssertSame(endpoints.Select(Method).OfType<string>(), Names("## gRPC API", "method"));

        static IEnumerable<string> Routes(RouteEndpoint endpoint) => endpoint.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods
            .Select(verb => $"{verb} {Constraint().Replace(endpoint.RoutePattern.RawText!, "")}");

        static string? Method(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method.Name;
    }

    [Fact]
    public void Every_type_of_component_has_its_section_and_there_is_no_other() =>
        AssertSame(ComponentTypes.All.Select(type => $"### `{type.Name}` {type.Version}"), ComponentHeading().Matches(Page).Select(heading => heading.Value));

    [Theory]
    [MemberData(nameof(ComponentTypeNames))]
    public void Every_field_of_a_component_stands_there_and_no_other(string name, string version)
    {
        var type = ComponentTypes.Find(name, version)!;
        var heading = $"### `{type.Name}` {type.Version}";
        var shared = SharedFields().Matches(Section(heading)).Select(link => link.Groups["title"].Value)
            .SelectMany(title => Names($"### {char.ToUpperInvariant(title[0])}{title[1..]}", "field"));

        AssertSame(type.Fields.Concat(type.Absent).Concat(type.Refused), Names(heading, "field").Concat(shared));
    }

    /// <summary>What a row promises is read: it stands in the code of components once more than in the list of fields.</summary>
    [Theory]
    [MemberData(nameof(ComponentTypeNames))]
    public void Every_field_of_a_component_is_read_unless_its_row_says_that_it_has_no_effect(string name, string version)
    {
        var heading = $"### `{name}` {version}";
        string[] headings = [heading, .. SharedFields().Matches(Section(heading)).Select(link => link.Groups["title"].Value).Select(title => $"### {char.ToUpperInvariant(title[0])}{title[1..]}")];

        var promised = headings.SelectMany(one => Rows(one, "field")).Where(row => !row.Split('|')[2].Contains("no effect", StringComparison.Ordinal));

        Assert.All(promised.SelectMany(Marked), field => Assert.True(IsRead(field), $"{field} of {name} is read nowhere: say in docs/sidecar.md that it has no effect"));
    }

    [Theory]
    [InlineData("field of a Component", "dapr.io/v1alpha1", "Component")]
    [InlineData("field of an HTTPEndpoint", "dapr.io/v1alpha1", "HTTPEndpoint")]
    [InlineData("field of a Subscription v2alpha1", "dapr.io/v2alpha1", "Subscription")]
    [InlineData("field of a Subscription v1alpha1", "dapr.io/v1alpha1", "Subscription")]
    [InlineData("field of a Resiliency", "dapr.io/v1alpha1", "Resiliency")]
    [InlineData("field of a Configuration", "dapr.io/v1alpha1", "Configuration")]
    public void Every_field_that_stands_there_of_a_resource_is_known(string table, string apiVersion, string kind)
    {
        var document = Document(Names("## Resource files", table));
        (document["apiVersion"], document["kind"]) = (apiVersion, kind);
        var file = _folder.File("resource.yaml");
        File.WriteAllText(file, document.ToJsonString());
        var findings = new List<ResourceError>();
        ResourceLoader.Load([Path.GetDirectoryName(file)!], findings);

        AssertAllKnown(findings);
    }

    [Fact]
    public void Every_field_that_stands_there_of_a_run_file_is_known()
    {
        string[] everywhere = [.. Names("## Run files", "field of an app or of common")];
        var document = Document(
            Names("## Run files", "field of the file").Except(["apps", "common"])
                .Concat(everywhere.Select(field => $"common.{field}"))
                .Concat(everywhere.Concat(Names("## Run files", "field of an app")).Select(field => $"apps[].{field}")));
        var file = _folder.File("dapr.yaml");
        File.WriteAllText(file, document.ToJsonString());
        var findings = new List<ResourceError>();
        RunFileReader.Read(file, findings);

        AssertAllKnown(findings);
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertAllKnown(List<ResourceError> findings) =>
        Assert.DoesNotContain(findings, finding => finding.Message.Contains("unknown field", StringComparison.Ordinal));

    /// <summary>All these fields in one document, for instance <c>spec.rules[].path</c>; each is 1.</summary>
    private static JsonObject Document(IEnumerable<string> paths)
    {
        var document = new JsonObject();
        foreach (var path in paths)
        {
            var (at, names) = (document, path.Split('.'));
            foreach (var name in names[..^1])
            {
                var key = name.Replace("[]", "", StringComparison.Ordinal);
                at[key] ??= key == name ? new JsonObject() : new JsonArray(new JsonObject());
                at = at[key] is JsonArray list ? list[0]!.AsObject() : at[key]!.AsObject();
            }

            var field = names[^1].Replace("[]", "", StringComparison.Ordinal);
            at[field] = field == names[^1] ? JsonValue.Create("1") : new JsonArray("1");
        }

        return document;
    }

    private static void AssertSame(IEnumerable<string> there, IEnumerable<string> written) => Assert.Equal(
        there.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal), written.Order(StringComparer.Ordinal));

    /// <summary>What stands in code marks in the first column of a section's table of that title.</summary>
    private static IEnumerable<string> Names(string heading, string table) => Rows(heading, table).SelectMany(Marked);

    private static IEnumerable<string> Rows(string heading, string table) => Section(heading).Split('\n')
        .SkipWhile(line => !line.StartsWith($"| {table} |", StringComparison.Ordinal)).TakeWhile(line => line.StartsWith('|')).Skip(2);

    private static IEnumerable<string> Marked(string row) => CodeMark().Matches(row.Split('|')[1]).Select(mark => mark.Groups["text"].Value);

    /// <summary>As a text, or by the constant that is this text. One that only lists hold, to refuse each in it, counts by its list.</summary>
    private static bool IsRead(string field)
    {
        var literal = $"\"{field}\"";
        if (Count(literal) > 1 || RefusedLists().Matches(Code).Any(list => list.Value.Contains(literal, StringComparison.Ordinal)))
            return true;
        return Regex.Match(Code, $@"const string (\w+) = {Regex.Escape(literal)};") is { Success: true } constant
            && Regex.Count(Code, $@"\b{constant.Groups[1].Value}\b") > 2;

        static int Count(string text) => Regex.Count(Code, Regex.Escape(text));
    }

    private static string Section(string heading)
    {
        var start = Page.IndexOf($"\n{heading}\n", StringComparison.Ordinal);
        Assert.True(start >= 0, $"docs/sidecar.md has no section \"{heading}\"");
        var next = (heading.StartsWith("###", StringComparison.Ordinal) ? AnyHeading() : PartHeading()).Match(Page, start + heading.Length);
        return next.Success ? Page[start..next.Index] : Page[start..];
    }

    [GeneratedRegex("^###? ", RegexOptions.Multiline)]
    private static partial Regex AnyHeading();

    [GeneratedRegex("^## ", RegexOptions.Multiline)]
    private static partial Regex PartHeading();

    [GeneratedRegex("`(?<text>[^`]+)`")]
    private static partial Regex CodeMark();

    [GeneratedRegex(@"^### `[a-z.-]+` v\d+$", RegexOptions.Multiline)]
    private static partial Regex ComponentHeading();

    [GeneratedRegex(@"\[(?<title>[A-Za-z ]+)\]\(#[a-z-]+\)")]
    private static partial Regex SharedFields();

    [GeneratedRegex(@":minlength\(1\)")]
    private static partial Regex Constraint();

    [GeneratedRegex(@"Refused\w* =\s*\[[^\]]*\]")]
    private static partial Regex RefusedLists();
}
