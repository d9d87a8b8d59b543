using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>Files of resources that are changed while sidecars run; what daprd does then is recorded (reload-*).</summary>
public sealed class HotReloadTests : IDisposable
{
    private readonly ResourceFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_change_under_load_loses_no_request_and_an_unchanged_store_keeps_its_data()
    {
        _folder.With("kept.yaml", Component("kept", "state.in-memory"));
        _folder.With("changed.yaml", Component("changed", "state.sqlite", ("connectionString", Database("state.db"))));
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        await SaveAsync(client, "kept", "a");
        using var end = new CancellationTokenSource();
        var answers = new ConcurrentBag<HttpStatusCode>();
        var load = Enumerable.Range(0, 3).Select(async worker =>
        {
            while (!end.IsCancellationRequested)
            {
                using var answer = await client.PostAsJsonAsync("/v1.0/state/changed", Items($"{worker}"), Cancellation);
                answers.Add(answer.StatusCode);
            }
        }).ToList();

        foreach (var prefix in new[] { "none", "name", "none" })
        {
            await ChangeAsync(dapr, "one", () => _folder.With("changed.yaml", Component("changed", "state.sqlite", ("connectionString", Database("state.db")), ("keyPrefix", prefix))));
            var before = answers.Count;
            await UntilAsync(() => answers.Count > before + 10);
        }

        await end.CancelAsync();
        await Task.WhenAll(load);
        Assert.All(answers, status => Assert.Equal(HttpStatusCode.NoContent, status));
        Assert.Equal("1", await client.GetStringAsync("/v1.0/state/kept/a", Cancellation));
    }

    [Fact]
    public async Task A_request_under_way_ends_with_the_component_that_it_began_with()
    {
        _folder.With("store.yaml", Component("store", "state.sqlite", ("connectionString", Database("old.db"))));
        var (began, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "one" }],
                ResourcesPaths = [_folder.Path],
                BeforeCall = async (call, _) =>
                {
                    if (call.Subjects.Contains("one||slow"))
                    {
                        began.TrySetResult();
                        await goOn.Task;
                    }
                },
            },
            Cancellation);
        using var client = Sidecars.Http(dapr["one"]);
        var slow = client.PostAsJsonAsync("/v1.0/state/store", Items("slow"), Cancellation);
        await began.Task.WaitAsync(Cancellation);

        await ChangeAsync(dapr, "one", () => _folder.With("store.yaml", Component("store", "state.sqlite", ("connectionString", Database("new.db")))));
        await SaveAsync(client, "store", "quick");
        goOn.SetResult();

        using var answer = await slow;
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(client, "/v1.0/state/store/slow"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, "/v1.0/state/store/quick"));
    }

    [Fact]
    public async Task A_scope_that_is_changed_gives_the_component_to_the_one_and_takes_it_from_the_other()
    {
        _folder.With("store.yaml", Component("store", "state.in-memory") + "scopes: [one]\n");
        await using var dapr = await StartAsync("one", "two");
        using var one = Sidecars.Http(dapr["one"]);
        using var two = Sidecars.Http(dapr["two"]);
        Assert.Equal(["store"], await ComponentsAsync(one));
        Assert.Empty(await ComponentsAsync(two));

        await ChangeAsync(dapr, "two", () => _folder.With("store.yaml", Component("store", "state.in-memory") + "scopes: [two]\n"));

        Assert.Equal(["store"], await ComponentsAsync(two));
        await UntilAsync(async () => (await ComponentsAsync(one)).Count == 0);
    }

    [Fact]
    public async Task Sidecars_that_share_a_component_share_the_one_that_takes_its_place()
    {
        _folder.With("store.yaml", Component("store", "state.in-memory"));
        await using var dapr = await StartAsync("one", "two");
        using var one = Sidecars.Http(dapr["one"]);
        using var two = Sidecars.Http(dapr["two"]);

        await ChangeAsync(dapr, ["one", "two"], () => _folder.With("store.yaml", Component("store", "state.in-memory", ("keyPrefix", "none"))));
        await SaveAsync(one, "store", "a");

        Assert.Equal("1", await two.GetStringAsync("/v1.0/state/store/a", Cancellation));
    }

    [Fact]
    public async Task What_is_written_around_a_component_does_not_change_it()
    {
        _folder.With("store.yaml", Component("store", "state.in-memory"));
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        await SaveAsync(client, "store", "a");

        await ChangeAsync(dapr, "one", () => _folder.With("store.yaml", "# a note\n" + Component("store", "state.in-memory") + "---\n" + Component("other", "state.in-memory")));

        Assert.Equal(["other", "store"], await ComponentsAsync(client));
        Assert.Equal("1", await client.GetStringAsync("/v1.0/state/store/a", Cancellation));
    }

    [Fact]
    public async Task Another_file_of_a_secret_store_gives_other_secrets_to_the_application_and_to_components()
    {
        _folder.With("old.json", JsonSerializer.Serialize(new { database = Database("old.db") }));
        _folder.With("new.json", JsonSerializer.Serialize(new { database = Database("new.db") }));
        _folder.With("secrets.yaml", Component("secrets", "secretstores.local.file", ("secretsFile", FileOf("old.json"))));
        _folder.With("store.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: store}
            spec:
              type: state.sqlite
              version: v1
              metadata:
              - {name: connectionString, secretKeyRef: {name: database}}
            auth: {secretStore: secrets}
            """);
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        await SaveAsync(client, "store", "a");

        await ChangeAsync(dapr, "one", () => _folder.With("secrets.yaml", Component("secrets", "secretstores.local.file", ("secretsFile", FileOf("new.json")))));

        var secret = await client.GetFromJsonAsync<JsonObject>("/v1.0/secrets/secrets/database", Cancellation);
        Assert.Equal(Database("new.db"), (string?)secret!["database"]);
        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(client, "/v1.0/state/store/a"));
    }

    [Fact]
    public async Task A_route_that_is_changed_while_events_flow_gets_them_from_then_on_and_none_is_lost()
    {
        _folder.With("pubsub.yaml", Component("pubsub", "pubsub.in-memory")).With("orders.yaml", Subscription("/old"));
        var came = new ConcurrentQueue<(string Path, int Number)>();
        await using var app = await TestApp.StartAsync(async context =>
        {
            if (context.Request.Path.StartsWithSegments("/dapr"))
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Cancellation);
            came.Enqueue((context.Request.Path, (int)body!["data"]!["number"]!));
        });
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "one", AppPort = app.Port }], ResourcesPaths = [_folder.Path] }, Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        using var client = Sidecars.Http(dapr["one"]);
        using var end = new CancellationTokenSource();
        var published = 0;
        var publishing = Task.Run(async () =>
        {
            for (; !end.IsCancellationRequested; published++)
                (await client.PostAsJsonAsync("/v1.0/publish/pubsub/orders", new { number = published }, Cancellation)).EnsureSuccessStatusCode();
        }, Cancellation);
        await UntilAsync(() => !came.IsEmpty);

        _folder.With("orders.yaml", Subscription("/new"));
        await UntilAsync(() => came.Any(one => one.Path == "/new"));
        await end.CancelAsync();
        await publishing;

        await UntilAsync(() => came.Count >= published);
        Assert.Equal(Enumerable.Range(0, published), came.Select(one => one.Number).Order());
        Assert.Equal(["/old", "/new"], came.Select(one => one.Path).Distinct());
    }

    [Fact]
    public async Task Reminders_go_over_to_the_store_that_takes_the_place_of_the_actors()
    {
        _folder.With("store.yaml", Component("store", "state.sqlite", ("actorStateStore", "true"), ("connectionString", Database("old.db"))));
        await using var app = await TestApp.StartAsync(context => context.Response.WriteAsync("""{"entities":["Cart"]}"""));
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "one", AppPort = app.Port }], ResourcesPaths = [_folder.Path] }, Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        using var client = Sidecars.Http(dapr["one"]);
        const string Reminder = "/v1.0/actors/Cart/1/reminders/pay";
        using (var made = await client.PostAsJsonAsync(Reminder, new { dueTime = "1h" }, Cancellation))
            Assert.True(made.IsSuccessStatusCode);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, Reminder));

        _folder.With("store.yaml", Component("store", "state.sqlite", ("actorStateStore", "true"), ("connectionString", Database("new.db"))));
        await UntilAsync(async () => await StatusAsync(client, Reminder) == HttpStatusCode.NotFound);

        _folder.With("store.yaml", Component("store", "state.sqlite", ("actorStateStore", "true"), ("connectionString", Database("old.db"))));
        await UntilAsync(async () => await StatusAsync(client, Reminder) == HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_clients_stream_of_events_outlasts_a_change_of_its_broker()
    {
        _folder.With("pubsub.yaml", Component("pubsub", "pubsub.in-memory"));
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        using var channel = Sidecars.Grpc(dapr["one"]);
        using var stream = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).SubscribeTopicEventsAlpha1(cancellationToken: Cancellation);
        await stream.RequestStream.WriteAsync(new() { InitialRequest = new() { PubsubName = "pubsub", Topic = "orders" } }, Cancellation);
        Assert.True(await stream.ResponseStream.MoveNext(Cancellation));

        await ChangeAsync(dapr, "one", () => _folder.With("pubsub.yaml", Component("pubsub", "pubsub.in-memory", ("unknown", "so it is made anew"))));
        var next = stream.ResponseStream.MoveNext(Cancellation);
        await UntilAsync(async () =>
        {
            using var answer = await client.PostAsJsonAsync("/v1.0/publish/pubsub/orders", 1, Cancellation);
            return next.IsCompleted;
        });

        Assert.True(await next);
        Assert.Equal("orders", stream.ResponseStream.Current.EventMessage.Topic);
    }

    [Theory]
    [InlineData("pubsub.in-memory")]
    [InlineData("pubsub.sqlite")]
    public async Task A_broker_whose_scopes_are_changed_obeys_them_and_keeps_its_messages(string type)
    {
        _folder.With("pubsub.yaml", Component("pubsub", type, Fields("one=")));
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        var broker = Assert.Single(dapr["one"].Runtime.Loaded.Instances);
        Assert.Equal(HttpStatusCode.Forbidden, await PublishAsync());

        await ChangeAsync(dapr, "one", () => _folder.With("pubsub.yaml", Component("pubsub", type, Fields("one=orders"))));

        Assert.Equal(HttpStatusCode.NoContent, await PublishAsync());
        Assert.Same(broker, Assert.Single(dapr["one"].Runtime.Loaded.Instances));

        (string, string)[] Fields(string scopes) => [("connectionString", Database("pubsub.db")), ("publishingScopes", scopes)];

        async Task<HttpStatusCode> PublishAsync()
        {
            using var answer = await client.PostAsJsonAsync("/v1.0/publish/pubsub/orders", 1, Cancellation);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task An_application_with_the_feature_off_keeps_what_it_started_with()
    {
        _folder.With("store.yaml", Component("store", "state.in-memory"));
        using var settings = new ResourceFolder().With(
            "off.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec: {features: [{name: HotReload, enabled: false}]}\n");
        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [new() { AppId = "off", ConfigPath = Path.Combine(settings.Path, "off.yaml") }, new() { AppId = "on" }], ResourcesPaths = [_folder.Path] },
            Cancellation);
        using var off = Sidecars.Http(dapr["off"]);
        using var on = Sidecars.Http(dapr["on"]);

        await ChangeAsync(dapr, "on", () => _folder.With("other.yaml", Component("other", "state.in-memory")));

        Assert.Equal(["other", "store"], await ComponentsAsync(on));
        Assert.Equal(["store"], await ComponentsAsync(off));
        Assert.Equal(["HotReload", "WorkflowsRemoteActivityReminder"], await FeaturesAsync(on));
        Assert.Equal(["WorkflowsRemoteActivityReminder"], await FeaturesAsync(off));
    }

    [Theory]
    [InlineData("apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\nspec:\n  type: state.nosuch\n  version: v1\n", "state.nosuch")]
    [InlineData("apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\nspec: [\n", "store.yaml")]
    [InlineData("apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\n", "store.yaml")]
    public async Task A_mistake_is_offered_with_its_place_and_takes_nothing_away_until_it_is_mended(string mistake, string told)
    {
        _folder.With("store.yaml", Component("store", "state.in-memory"));
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);
        await SaveAsync(client, "store", "a");

        _folder.With("store.yaml", mistake);
        await UntilAsync(() => dapr.Mistake is not null);

        var error = dapr.Mistake!.Errors[0];
        Assert.Equal(FileOf("store.yaml"), error.Location.File);
        Assert.Contains(told, error.ToString(), StringComparison.Ordinal);
        Assert.Equal("1", await client.GetStringAsync("/v1.0/state/store/a", Cancellation));

        _folder.With("store.yaml", Component("store", "state.in-memory"));
        await UntilAsync(() => dapr.Mistake is null);
        Assert.Equal("1", await client.GetStringAsync("/v1.0/state/store/a", Cancellation));
    }

    [Fact]
    public async Task A_changed_Configuration_has_the_application_asked_again_while_the_ports_stay_open()
    {
        _folder.With("store.yaml", Component("store", "state.in-memory"));
        using var settings = new ResourceFolder().With("config.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\n");
        await using var app = await TestApp.StartAsync();
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "one", AppPort = app.Port, ConfigPath = Path.Combine(settings.Path, "config.yaml"), ResourcesPaths = [_folder.Path] }],
            },
            Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        Assert.Equal("GET /dapr/config", await app.NextCallAsync());
        using var client = Sidecars.Http(dapr["one"]);
        await SaveAsync(client, "store", "a");

        settings.With("config.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec: {api: {denied: [{name: state, version: v1, protocol: http}]}}\n");

        Assert.Equal("GET /dapr/config", await app.NextCallAsync());
        await UntilAsync(async () => await StatusAsync(client, "/v1.0/healthz") == HttpStatusCode.NoContent);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(client, "/v1.0/state/store/a"));
    }

    [Fact]
    public async Task A_component_that_comes_and_goes_is_known_and_forgotten()
    {
        await using var dapr = await StartAsync("one");
        using var client = Sidecars.Http(dapr["one"]);

        await ChangeAsync(dapr, "one", () => _folder.With("pubsub.yaml", Component("pubsub", "pubsub.in-memory")));
        Assert.Equal(["pubsub"], await ComponentsAsync(client));
        using (var answer = await client.PostAsJsonAsync("/v1.0/publish/pubsub/orders", 1, Cancellation))
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);

        await ChangeAsync(dapr, "one", () => File.Delete(FileOf("pubsub.yaml")));
        Assert.Empty(await ComponentsAsync(client));
        using (var answer = await client.PostAsJsonAsync("/v1.0/publish/pubsub/orders", 1, Cancellation))
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    private static string Component(string name, string type, params (string Name, string Value)[] metadata) =>
        $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: {name}
        spec:
          type: {type}
          version: v1
          metadata: {JsonSerializer.Serialize(metadata.Select(field => new { name = field.Name, value = field.Value }))}

        """;

    private static string Subscription(string route) =>
        $"""
        apiVersion: dapr.io/v2alpha1
        kind: Subscription
        metadata:
          name: orders
        spec:
          pubsubname: pubsub
          topic: orders
          routes:
            default: {route}

        """;

    private static Dictionary<string, object>[] Items(string key) => [new() { ["key"] = key, ["value"] = 1 }];

    private string FileOf(string name) => Path.Combine(_folder.Path, name);

    private string Database(string name) => FileOf(name).Replace('\\', '/');

    private Task<EmbeddedDapr> StartAsync(params string[] apps) =>
        EmbeddedDapr.StartAsync(new() { Apps = [.. apps.Select(app => new SidecarOptions { AppId = app })], ResourcesPaths = [_folder.Path] }, Cancellation);

    private static async Task SaveAsync(HttpClient client, string store, string key)
    {
        using var answer = await client.PostAsJsonAsync($"/v1.0/state/{store}", Items(key), Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, string path)
    {
        using var answer = await client.GetAsync(path, Cancellation);
        return answer.StatusCode;
    }

    private static async Task<IReadOnlyList<string>> ComponentsAsync(HttpClient client)
    {
        var metadata = await client.GetFromJsonAsync<JsonObject>("/v1.0/metadata", Cancellation);
        return [.. (metadata!["components"]?.AsArray() ?? []).Select(component => (string)component!["name"]!).Order(StringComparer.Ordinal)];
    }

    private static async Task<IReadOnlyList<string>> FeaturesAsync(HttpClient client)
    {
        var metadata = await client.GetFromJsonAsync<JsonObject>("/v1.0/metadata", Cancellation);
        return [.. metadata!["enabledFeatures"]!.AsArray().Select(feature => (string)feature!)];
    }

    private static Task ChangeAsync(EmbeddedDapr dapr, string app, Action change) => ChangeAsync(dapr, [app], change);

    /// <summary>Returns when the sidecars have another set of resources than before.</summary>
    private static async Task ChangeAsync(EmbeddedDapr dapr, string[] apps, Action change)
    {
        var before = apps.ToDictionary(app => app, app => dapr[app].Runtime.Loaded);
        change();
        try
        {
            await UntilAsync(() => before.All(of => !ReferenceEquals(of.Value, dapr[of.Key].Runtime.Loaded)));
        }
        catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
        {
            Assert.Fail($"The change was not taken: {dapr.Mistake?.Message ?? "nothing was told"}");
        }
    }

    private static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        while (!await condition())
            await Task.Delay(TimeSpan.FromMilliseconds(20), limit.Token);
    }
}
