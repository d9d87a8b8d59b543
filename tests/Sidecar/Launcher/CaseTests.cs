using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Invocation;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>Small run files as people have them (Cases), and what <c>dapr run -f</c> makes of each.</summary>
public sealed class CaseTests : IAsyncDisposable
{
    private const string PubSub = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: pubsub}\nspec: {type: pubsub.in-memory, version: v1}\n";

    private readonly Workspace _workspace = new();
    private readonly HttpClient _http = new(new HttpClientHandler { AllowAutoRedirect = false });
    private RunningSystem? _system;
    private ProcessRecord? _record;

    public async ValueTask DisposeAsync()
    {
        if (_system is not null)
            await _system.DisposeAsync();
        _record?.Dispose();
        _http.Dispose();
        _workspace.Dispose();
    }

    [Theory]
    [InlineData("exit1", "b died with exit code 1")]
    [InlineData("no such program", "b cannot be started: \"no-such-program\"")]
    public async Task When_one_app_fails_that_is_told_and_the_other_goes_on(string how, string told)
    {
        _workspace.WithCase("one-app-fails");
        if (how != "exit1")
            _workspace.Write("dapr.yaml", Replace(File.ReadAllText(_workspace.RunFile), Workspace.TinyApp + ", case", "no-such-program"));

        var system = await StartAsync();
        await system.Ready.WaitAsync(TestContext.Current.CancellationToken);

        await Eventually.HoldsAsync(() => _workspace.Shown.Contains("The others go on", StringComparison.Ordinal), "the failure");
        Assert.Contains(told, _workspace.Shown, StringComparison.Ordinal);
        Assert.False(system.Failed.IsCompleted);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("a", "hello")).StatusCode);

        static string Replace(string text, string what, string with)
        {
            var at = text.IndexOf(what, StringComparison.Ordinal);
            return text[..at] + with + text[(at + what.Length)..];
        }
    }

    [Theory]
    [InlineData("307", HttpStatusCode.TemporaryRedirect)]
    [InlineData("401", HttpStatusCode.Unauthorized)]
    [InlineData("405", HttpStatusCode.MethodNotAllowed)]
    public async Task An_app_that_refuses_what_it_does_not_know_is_ready_and_its_refusals_are_passed_on(string mode, HttpStatusCode status)
    {
        _workspace.WithCase("redirects-everything");
        _workspace.Write("dapr.yaml", File.ReadAllText(_workspace.RunFile).Replace("MODE: '307'", $"MODE: '{mode}'", StringComparison.Ordinal));

        await StartReadyAsync();

        var answer = await GetAsync("a", "hello");
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal(status == HttpStatusCode.TemporaryRedirect ? new Uri("https://localhost:1/") : null, answer.Headers.Location);
    }

    [Theory]
    [InlineData("html-for-everything")]
    [InlineData("object-as-subscriptions")]
    public async Task Subscriptions_that_cannot_be_read_are_told_and_the_app_is_ready_without_them(string name)
    {
        _workspace.WithCase(name);

        await StartReadyAsync();

        Assert.Contains("GET /dapr/subscribe of a must answer a JSON list of subscriptions, so it gets neither its own nor those of files", _workspace.Shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("component-without-version", "c.yaml:6: spec.version: expected a version such as v1, got nothing; Dapr takes v1")]
    [InlineData(
        "kubernetes-kinds-in-the-folder", "d.yaml:2: kind: expected Component", "k.yaml:2: kind: expected Component", "sec.yaml:2: kind: expected Component")]
    [InlineData("merge-keys-in-a-component")]
    [InlineData("merge-keys-in-a-run-file")]
    public async Task Files_that_Dapr_takes_are_taken_with_a_warning_for_each_thing_that_it_passes_over(string name, params string[] warnings)
    {
        _workspace.WithCase(name);

        await StartReadyAsync();

        Assert.Equal("s", Assert.Single(_system!.Dapr["a"].Runtime.Loaded.Components).Name);
        var told = _workspace.Plan().Warnings.Select(warning => warning.ToString()).ToList();
        Assert.Equal(warnings.Length, told.Count);
        Assert.All(warnings.Zip(told), pair => Assert.Contains(pair.First, pair.Second, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_app_on_the_IPv6_loopback_is_reached_where_its_channel_address_says_so()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "This machine has no IPv6.");
        _workspace.WithCase("ipv6-only-app");

        await StartReadyAsync();

        Assert.Equal("hello", await (await GetAsync("a", "hello")).Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("app-protocol-https")]
    [InlineData("app-ssl")]
    public async Task An_app_that_speaks_TLS_is_called_whatever_its_certificate(string name)
    {
        var port = PortOfAnAppThatRunsAlready(name);
        using var certificate = SelfSigned.Certificate();
        await using var app = await TestApp.StartAsync(context => context.Response.WriteAsync(context.Request.Scheme), port, listen => listen.UseHttps(certificate));

        await StartReadyAsync();

        Assert.Equal("https", await (await GetAsync("a", "hello")).Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_app_that_speaks_gRPC_is_called_so()
    {
        await using var app = await ShopApp.StartAsync(PortOfAnAppThatRunsAlready("app-protocol-grpc"));

        await StartReadyAsync();

        using var channel = Sidecars.Grpc(_system!.Dapr["a"]);
        using var call = channel.CreateCallInvoker().AsyncUnaryCall(
            ShopApp.Get, null, new(new() { { "dapr-app-id", "a" } }, cancellationToken: TestContext.Current.CancellationToken), new() { Value = "x" });
        Assert.Equal("got x", (await call).Value);
    }

    [Fact]
    public async Task An_app_gets_its_events_from_a_redis()
    {
        ServerProgram.Require(RedisServer.Missing);
        await using var redis = await RedisServer.StartAsync(TestContext.Current.CancellationToken);
        var port = PortOfAnAppThatRunsAlready("pubsub-redis");
        _workspace.Write("res/a.yaml", File.ReadAllText(_workspace.PathOf("res/a.yaml")).Replace("localhost:6379", redis.Address, StringComparison.Ordinal));
        const string Subscriptions = """[{"pubsubname":"pubsub","topic":"orders","route":"/orders"}]""";
        await using var app = await TestApp.StartAsync(
            context => context.Request.Path == "/dapr/subscribe" ? context.Response.WriteAsync(Subscriptions) : Task.CompletedTask, port);
        await StartReadyAsync();

        using var published = await _http.PostAsync(
            new Uri($"http://127.0.0.1:{_system!.Dapr["a"].HttpPort}/v1.0/publish/pubsub/orders"), new StringContent("x"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, published.StatusCode);
        Assert.Equal(
            ["GET /dapr/config", "GET /dapr/subscribe", "POST /orders"], [await app.NextCallAsync(), await app.NextCallAsync(), await app.NextCallAsync()]);
    }

    [Fact]
    public async Task An_app_keeps_its_state_in_a_PostgreSQL_with_the_table_of_version_1()
    {
        ServerProgram.Require(PostgresServer.Missing);
        await using var postgres = await PostgresServer.StartAsync(TestContext.Current.CancellationToken);
        var port = PortOfAnAppThatRunsAlready("postgresql-v1");
        var connection = postgres.ConnectionString("postgres");
        _workspace.Write("res/a.yaml", File.ReadAllText(_workspace.PathOf("res/a.yaml")).Replace("host=localhost port=1 user=x", connection, StringComparison.Ordinal));
        await using var app = await TestApp.StartAsync(_ => Task.CompletedTask, port);
        await StartReadyAsync();

        var store = new Uri($"http://127.0.0.1:{_system!.Dapr["a"].HttpPort}/v1.0/state/s");
        using var saved = await _http.PostAsync(store, new StringContent("""[{"key":"k","value":{"b":1}}]"""), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, saved.StatusCode);
        Assert.Equal("""{"b": 1}""", await _http.GetStringAsync(new Uri($"{store}/k"), TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_app_that_answers_before_it_has_read_a_large_body_and_closes_is_heard(bool chunked)
    {
        _workspace.WithCase("413-and-close");
        await StartReadyAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, AddressOf("a", "hello")) { Content = new ByteArrayContent(new byte[3_000_000]) };
        request.Headers.TransferEncodingChunked = chunked;

        using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task One_wrong_field_voids_the_whole_list_of_subscriptions_which_is_told()
    {
        await using var app = await TestApp.StartAsync(context => context.Request.Path == "/dapr/subscribe"
            ? context.Response.WriteAsync("""[{"pubsubname":"pubsub","topic":"a","route":"/a"},{"pubsubname":"pubsub","topic":7,"route":"/b"}]""")
            : Task.CompletedTask);
        _workspace.WithApps($"- {{appID: a, appDirPath: one, appPort: {app.Port}}}\n").Write("components/pubsub.yaml", PubSub);

        await StartReadyAsync();

        Assert.Contains(
            "GET /dapr/subscribe of a must answer a JSON list of subscriptions, so it gets neither its own nor those of files: expected a text in 'topic', got number", _workspace.Shown, StringComparison.Ordinal);
        using var metadata = JsonDocument.Parse(await _http.GetStringAsync(
            new Uri($"http://127.0.0.1:{_system!.Dapr["a"].HttpPort}/v1.0/metadata"), TestContext.Current.CancellationToken));
        Assert.False(metadata.RootElement.TryGetProperty("subscriptions", out _));
    }

    [Fact]
    public async Task What_an_app_writes_is_on_the_console_under_its_name()
    {
        _workspace.WithCase("app-output");

        await StartAsync();

        await Eventually.HoldsAsync(() => _workspace.Shown.Contains("== APP - a == hello-from-app", StringComparison.Ordinal), "the line of the app");
    }

    [Theory]
    [InlineData("console", true, false)]
    [InlineData("file", false, true)]
    [InlineData("fileAndConsole", true, true)]
    public async Task What_an_app_writes_goes_where_the_run_file_says(string destination, bool onConsole, bool inFile)
    {
        _workspace.WithApps($"- {{appID: a, appDirPath: one, appLogDestination: {destination}, command: [{Workspace.TinyApp}, say=hello, exit=0]}}\n");

        await (await StartAsync()).Supervisors[0].Running.WaitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(onConsole, _workspace.Shown.Contains("== APP - a == hello", StringComparison.Ordinal));
        Assert.Equal(inFile, Directory.GetFiles(_workspace.PathOf("one/.dapr/logs"), "a_app_*").Length == 1);
    }

    [Fact]
    public async Task An_app_is_asked_what_daprd_asks_and_nothing_else()
    {
        await using var app = await TestApp.StartAsync();
        _workspace.WithApps($"- {{appID: a, appDirPath: one, appPort: {app.Port}}}\n")
            .Write("components/pubsub.yaml", PubSub);

        await StartReadyAsync();
        await GetAsync("a", "hello");

        Assert.Equal(["GET /dapr/config", "GET /dapr/subscribe", "GET /hello"], [await app.NextCallAsync(), await app.NextCallAsync(), await app.NextCallAsync()]);
    }

    /// <summary>A case whose app this process brings: the run file starts none.</summary>
    private int PortOfAnAppThatRunsAlready(string name)
    {
        _workspace.WithCase(name);
        var lines = File.ReadAllLines(_workspace.RunFile).Where(line => !line.Contains("command:", StringComparison.Ordinal));
        _workspace.Write("dapr.yaml", string.Join('\n', lines) + "\n");
        return _workspace.Plan().RunFile.Apps[0].AppPort;
    }

    private async Task StartReadyAsync() => await (await StartAsync()).Ready.WaitAsync(TestContext.Current.CancellationToken);

    private async Task<RunningSystem> StartAsync()
    {
        (_system, _record) = await _workspace.StartAsync();
        return _system;
    }

    private Task<HttpResponseMessage> GetAsync(string app, string path) => _http.GetAsync(AddressOf(app, path), TestContext.Current.CancellationToken);

    private Uri AddressOf(string app, string path) => new($"http://127.0.0.1:{_system!.Dapr[app].HttpPort}/v1.0/invoke/{app}/method/{path}");
}
