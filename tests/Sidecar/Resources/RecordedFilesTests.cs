using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>
/// What a real daprd 1.18.1 made of files with mistakes and of unusual ones (Recorded): whether it started, which components and subscriptions it
/// then had, and where a published message came.
/// </summary>
public sealed class RecordedFilesTests : IDisposable
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Resources", "Recorded");

    /// <summary>What is not as recorded, on purpose.</summary>
    private static readonly Dictionary<string, string> Otherwise = new()
    {
        ["no topic"] = "daprd's metadata lists the subscription, by which nothing can come",
        ["a field twice"] = "daprd refuses the second value, a file in a folder that does not exist: here the folder is made",
        ["a sqlite file that cannot be made"] = "here the folder is made",
        ["redisHost is missing: localhost:6379 is taken"] = "a server ran there",
    };

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("recorded-files-");

    public static TheoryData<string, string> Tries { get; } =
    [
        .. Directory.EnumerateFiles(Folder, "*.json").Order(StringComparer.Ordinal).SelectMany(file =>
            Steps(Path.GetFileNameWithoutExtension(file)).Where(step => step["try"] is not null && !Otherwise.ContainsKey((string)step["note"]!)).Select(step => (Path.GetFileNameWithoutExtension(file), (string)step["note"]!)).Distinct()),
    ];

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Tries))]
    public async Task Are_taken_or_refused_as_daprd_did(string recording, string note)
    {
        var steps = Steps(recording).SkipWhile(step => (string?)step["note"] != note).ToList();
        var (attempt, then) = (steps[0], steps.Skip(1).TakeWhile(step => step["try"] is null).ToList());
        Write(attempt["write"]!.AsObject(), withPubSub: recording == "files-subscriptions");
        Environment.SetEnvironmentVariable("REC_SECRET", "fromenv");
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = HttpMethods.IsPost(context.Request.Method) ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });

        EmbeddedDapr? dapr = null;
        try
        {
            dapr = await StartAsync(recording == "files-subscriptions" ? app.Port : 0);
        }
        catch (ResourceException e)
        {
            Assert.True((string?)attempt["got"]!["status"] != "ready", $"daprd starts, the embedded sidecar says: {e.Message}");
            return;
        }

        await using (dapr)
        {
            Assert.True((string?)attempt["got"]!["status"] == "ready", $"daprd says: {attempt["got"]!["log"]?[0]}");
            await CheckAsync(dapr, app, then);
        }
    }

    private static async Task CheckAsync(EmbeddedDapr dapr, TestApp app, List<JsonObject> steps)
    {
        using var http = Sidecars.Http(dapr["one"]);
        foreach (var step in steps)
        {
            if ((string?)step["http"] == "GET /v1.0/metadata")
            {
                var metadata = JsonNode.Parse(await http.GetStringAsync(new Uri("/v1.0/metadata", UriKind.Relative), TestContext.Current.CancellationToken))!;
                Assert.Equal(Described(step["got"]!["body"]!), Described(metadata));
            }
            else if ((string?)step["http"] is ['P', 'O', 'S', 'T', ' ', .. var path])
            {
                using var answer = await http.PostAsync(
                    new Uri(path, UriKind.Relative), new StringContent("{\"n\":1}", null, "application/json"), TestContext.Current.CancellationToken);
                Assert.Equal((int)step["got"]!["status"]!, (int)answer.StatusCode);
            }
            else if (step["calls"] is not null)
            {
                foreach (var call in step["got"]?["calls"]?.AsArray() ?? [])
                    Assert.Equal((string?)call!["call"], await app.NextCallAsync());
            }
        }
    }

    private static string Described(JsonNode metadata)
    {
        var components = metadata["components"]?.AsArray().Select(c => $"{c!["name"]} {c["type"]} {c["version"]}") ?? [];
        var subscriptions = metadata["subscriptions"]?.AsArray().Select(s =>
            $"{s!["pubsubname"]}/{s["topic"]} to {string.Join(", ", s["rules"]?.AsArray().Select(r => $"{r!["match"]} {r["path"]}") ?? [])}") ?? [];
        return string.Join('\n', [.. components.Order(), .. subscriptions.Order()]);
    }

    private static List<JsonObject> Steps(string recording) =>
        [.. JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, recording + ".json")))!["steps"]!.AsArray().Select(step => step!.AsObject())];

    private void Write(JsonObject files, bool withPubSub)
    {
        var resources = _directory.CreateSubdirectory("resources");
        if (withPubSub)
            File.WriteAllText(Path.Combine(resources.FullName, "pubsub.yaml"), "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: pubsub}\nspec: {type: pubsub.in-memory, version: v1}\n");
        foreach (var (name, lines) in files)
        {
            var text = string.Join('\n', lines!.AsArray()).Replace("{{dir}}", _directory.FullName.Replace('\\', '/'), StringComparison.Ordinal) + "\n";
            File.WriteAllText(Path.Combine(name == "config.yaml" ? _directory.FullName : resources.FullName, name), text);
        }
    }

    private async Task<EmbeddedDapr> StartAsync(int appPort)
    {
        var configuration = Path.Combine(_directory.FullName, "config.yaml");
        var dapr = await EmbeddedDapr.StartAsync(
            new EmbeddedDaprOptions
            {
                Apps =
                [
                    new SidecarOptions
                    {
                        AppId = "one",
                        AppPort = appPort,
                        Resources = ResourceLoader.Load([Path.Combine(_directory.FullName, "resources")]),
                        Configuration = File.Exists(configuration) ? ResourceLoader.LoadConfiguration(configuration) : ConfigurationResource.Default,
                    },
                ],
            },
            TestContext.Current.CancellationToken);
        await dapr.Ready.WaitAsync(TestContext.Current.CancellationToken);
        return dapr;
    }
}
