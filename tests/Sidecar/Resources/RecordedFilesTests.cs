using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Recordings;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>
/// What a real daprd 1.18.1 made of files with mistakes and of unusual ones (Recorded): whether it started, which components and subscriptions it
/// then had, where a published message came, and what a state store answered. What is otherwise on purpose is in expectations.json.
/// </summary>
public sealed class RecordedFilesTests : IDisposable
{
    private const string Ready = "ready";
    private const string Ended = "exit 1";

    /// <summary>daprd's own words; what follows them are those of a database.</summary>
    private const string OfTheStore = "from state store store: ";

    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Resources", "Recorded");

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("recorded-files-");

    private static readonly IReadOnlyDictionary<string, FileDifference> Otherwise = Expectations.OfTheEmbeddedSidecar.Files;

    private static readonly List<(string Recording, int Number, string Note)> AllTries =
    [
        .. Directory.EnumerateFiles(Folder, "*.json").Order(StringComparer.Ordinal).Select(file => Path.GetFileNameWithoutExtension(file))
            .SelectMany(recording => Steps(recording).Index().Where(step => step.Item["try"] is not null)
                .Select(step => (recording, step.Index + 1, (string)step.Item["note"]!))),
    ];

    public static TheoryData<string, int, string> Tries { get; } =
        [.. AllTries.Where(one => !Otherwise.TryGetValue($"{one.Recording}/{one.Number}", out var other) || other.Instead is not null)];

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Tries))]
    public async Task Are_taken_or_refused_as_daprd_did(string recording, int number, string note)
    {
        var steps = Steps(recording);
        if (recording == "files-values")
        {
            // Its tries share a file, in which the first one makes the table.
            Write(steps[0]["write"]!.AsObject(), withPubSub: false);
            await using (await StartAsync(appPort: 0))
            {
            }
        }

        var difference = await PlayAsync(recording, steps[number - 1], [.. steps.Skip(number).TakeWhile(step => step["try"] is null)]);

        if (Otherwise.TryGetValue($"{recording}/{number}", out var expected))
            Assert.Equal(expected.Instead, difference?.Came);
        else
            Assert.True(difference is null, $"{note}: {difference}");
    }

    [Fact]
    public void Every_listed_difference_is_of_a_try()
    {
        Assert.Subset(AllTries.Select(one => $"{one.Recording}/{one.Number}").ToHashSet(), Otherwise.Keys.ToHashSet());
    }

    /// <summary>The first difference; null where there is none.</summary>
    private async Task<Difference?> PlayAsync(string recording, JsonObject attempt, List<JsonObject> then)
    {
        Write(attempt["write"]!.AsObject(), withPubSub: recording == "files-subscriptions");
        Environment.SetEnvironmentVariable("REC_SECRET", "fromenv");
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = HttpMethods.IsPost(context.Request.Method) ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });

        var (recorded, said) = ((string)attempt["got"]!["status"]!, (string?)attempt["got"]!["log"]?[0]);
        EmbeddedDapr dapr;
        try
        {
            dapr = await StartAsync(recording == "files-subscriptions" ? app.Port : 0);
        }
        catch (ResourceException e)
        {
            return recorded == Ended ? null : new(1, $"start ({e.Message})", recorded, Ended);
        }

        await using (dapr)
        {
            if (recorded != Ready)
                return new(1, $"start ({said})", recorded, Ready);
            using var http = Sidecars.Http(dapr["one"]);
            foreach (var (i, step) in then.Index())
            {
                var (expected, came) = await StepAsync(step, app, http);
                if (expected != came)
                    return new(i + 2, (string?)step["http"] ?? "calls", expected, came);
            }
        }

        // It ended when all that it had to hand over was handed over.
        return app.FurtherCalls().ToList() is { Count: > 0 } further ? new(then.Count + 1, "further calls", null, string.Join(", ", further)) : null;
    }

    private static async Task<(string Recorded, string Came)> StepAsync(JsonObject step, TestApp app, HttpClient http)
    {
        var got = step["got"]!;
        if (step["calls"] is not null)
        {
            var recorded = (got["calls"]?.AsArray() ?? []).Select(call => (string)call!["call"]!).ToList();
            var came = new List<string>();
            foreach (var _ in recorded)
                came.Add(await app.NextCallAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
            return (string.Join(", ", recorded), string.Join(", ", came));
        }

        using var request = Request(step);
        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        if ((string?)step["http"] == "GET /v1.0/metadata")
            return (Described(got["body"]!), Described(JsonNode.Parse(body)!));
        return ($"{got["status"]} {Answer(got["body"])}", $"{(int)answer.StatusCode} {Answer(body.Length == 0 ? null : JsonNode.Parse(body))}");
    }

    private static HttpRequestMessage Request(JsonObject step) => ((string?)step["http"])?.Split(' ') switch
    {
        ["GET", var path] => new(HttpMethod.Get, path),
        ["POST", var path] => new(HttpMethod.Post, path) { Content = new StringContent(step["json"]!.ToJsonString(), null, "application/json") },
        _ => throw new InvalidOperationException($"a step that is not known here: {step.ToJsonString()}"),
    };

    private static string Answer(JsonNode? body) => body is null ? "" : $"{body["errorCode"]} {Words((string?)body["message"] ?? "")}";

    private static string Words(string message) =>
        message.IndexOf(OfTheStore, StringComparison.Ordinal) is >= 0 and var at ? message[..(at + OfTheStore.Length)] : message;

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
        foreach (var file in resources.EnumerateFiles())
            file.Delete();
        if (withPubSub)
            File.WriteAllText(Path.Combine(resources.FullName, "pubsub.yaml"), "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: pubsub}\nspec: {type: pubsub.in-memory, version: v1}\n");
        var directory = _directory.FullName.Replace('\\', '/');
        foreach (var (name, lines) in files)
        {
            // What is not there is not there in our folder: it may be made.
            var text = string.Join('\n', lines!.AsArray()).Replace("{{dir}}", directory, StringComparison.Ordinal)
                .Replace("/nosuch/folder", $"{directory}/nosuch/folder", StringComparison.Ordinal) + "\n";
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
