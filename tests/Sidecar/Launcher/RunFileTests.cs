using DaprOrders.Sidecar.Launcher;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>dapr.yaml with the rules of the Dapr CLI: what is merged, where paths start; and every mistake with its line.</summary>
public sealed class RunFileTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public void An_app_without_values_has_those_of_common_and_the_defaults()
    {
        Write("""
            version: 1
            name: shop
            common:
              resourcesPaths: [components]
              configFilePath: components/config.yaml
              appMaxConcurrency: 7
              maxBodySize: 8Mi
              readBufferSize: 16Ki
              enableAppHealthCheck: true
              appHealthCheckPath: /live
              appHealthProbeInterval: 2
              appHealthProbeTimeout: 300
              appHealthThreshold: 4
              appLogDestination: file
              env: {A: 1, B: common}
            apps:
            - appDirPath: one
              appPort: 5001
              daprHTTPPort: 3501
              daprGRPCPort: 50001
              metricsPort: 9091
              command: [dotnet, run]
              env: {B: own}
            """);

        var runFile = RunFileReader.Read(_workspace.RunFile);

        var app = Assert.Single(runFile.Apps);
        Assert.Equal(("shop", "one", _workspace.PathOf("one")), (runFile.Name, app.AppId, app.AppDirPath));
        Assert.Equal((5001, 3501, 50001, 9091), (app.AppPort, app.DaprHttpPort, app.DaprGrpcPort, app.MetricsPort));
        Assert.Equal(["dotnet", "run"], app.Command);
        Assert.Equal([_workspace.PathOf("components")], app.ResourcesPaths);
        Assert.Equal(_workspace.PathOf("components/config.yaml"), app.ConfigFilePath);
        Assert.Equal((7, 8 << 20, 16 << 10, "http"), (app.AppMaxConcurrency, app.MaxBodyBytes, app.ReadBufferBytes, app.AppProtocol));
        Assert.Equal(new AppHealthCheck("/live", TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(300), 4), app.AppHealthCheck);
        Assert.Equal((LogDestination.File, LogDestination.File), (app.AppLogDestination, app.DaprdLogDestination));
        Assert.Equal([("A", "1"), ("B", "own")], app.Env.OrderBy(e => e.Key).Select(e => (e.Key, e.Value)));
    }

    [Fact]
    public void An_apps_own_value_wins_but_false_and_zero_cannot_undo_a_common_one()
    {
        Write("""
            version: 1
            common: {enableAppHealthCheck: true, appMaxConcurrency: 7, appLogDestination: file}
            apps:
            - appID: strict
              appDirPath: one
              enableAppHealthCheck: false
              appMaxConcurrency: 0
              appLogDestination: console
              appHealthCheckPath: /mine
            - appDirPath: two
              appMaxConcurrency: 2
            """);

        var apps = RunFileReader.Read(_workspace.RunFile).Apps;

        Assert.Equal(("strict", 7, LogDestination.Console), (apps[0].AppId, apps[0].AppMaxConcurrency, apps[0].AppLogDestination));
        Assert.Equal(new AppHealthCheck("/mine", TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(500), 3), apps[0].AppHealthCheck);
        Assert.Equal(("two", 2), (apps[1].AppId, apps[1].AppMaxConcurrency));
        Assert.Equal((0, 4 << 20, null), (apps[1].AppPort, apps[1].MaxBodyBytes, apps[1].ReadBufferBytes));
    }

    [Fact]
    public void Resources_and_configuration_of_an_app_come_before_its_own_dapr_folder_and_that_before_common()
    {
        _workspace.Write("two/.dapr/resources/x.yaml", "").Write("two/.dapr/config.yaml", "").Write("one/mine/x.yaml", "").Write("one/cfg.yaml", "").Write("one/old/x.yaml", "");
        Write("""
            version: 1
            common: {resourcesPaths: [components], configFilePath: components/config.yaml}
            apps:
            - {appDirPath: one, resourcesPaths: [mine], resourcesPath: old, configFilePath: cfg.yaml}
            - {appDirPath: two}
            """);

        var apps = RunFileReader.Read(_workspace.RunFile).Apps;

        Assert.Equal([_workspace.PathOf("one/mine")], apps[0].ResourcesPaths);
        Assert.Equal(_workspace.PathOf("one/cfg.yaml"), apps[0].ConfigFilePath);
        Assert.Equal([_workspace.PathOf("two/.dapr/resources")], apps[1].ResourcesPaths);
        Assert.Equal(_workspace.PathOf("two/.dapr/config.yaml"), apps[1].ConfigFilePath);
    }

    [Fact]
    public void What_only_matters_to_the_cli_and_daprd_is_passed_over_and_logs_go_where_they_go_there()
    {
        Write("""
            version: 1
            common: {placementHostAddress: "", schedulerHostAddress: "", logLevel: debug, enableProfiling: true, daprdLogDestination: console, runtimePath: /x}
            apps:
            - {appDirPath: one, containerImage: x, createService: true, profilePort: 7777, daprInternalGRPCPort: 5, daprHTTPPort: -1}
            """);

        var app = Assert.Single(RunFileReader.Read(_workspace.RunFile).Apps);
        Assert.Equal((0, LogDestination.FileAndConsole, LogDestination.Console), (app.DaprHttpPort, app.AppLogDestination, app.DaprdLogDestination));
    }

    [Fact]
    public void A_sidecar_on_socket_files_has_no_ports_for_its_APIs()
    {
        Write($"version: 1\napps:\n- {{appDirPath: one, unixDomainSocket: {_workspace.PathOf("two")}, daprHTTPPort: 3501, daprGRPCPort: 4501}}\n");

        var sidecar = Assert.Single(_workspace.Plan().Sidecars);

        Assert.Equal((_workspace.PathOf("two"), 0, 0), (sidecar.UnixDomainSocket, sidecar.HttpPort, sidecar.GrpcPort));
    }

    public static TheoryData<string, string, int, string> Mistakes => new()
    {
        { "no version", "apps:\n- appDirPath: one\n", 1, "version: expected version: 1, got nothing" },
        { "version 0", "version: 0\napps:\n- appDirPath: one\n", 1, "version: expected a whole number of 1 or more, got \"0\"" },
        { "no apps", "version: 1\n", 1, "apps: expected a list of apps, got nothing" },
        { "an empty list of apps", "version: 1\napps: []\n", 2, "apps: expected at least one app, got none" },
        { "no appDirPath", "version: 1\napps:\n- appID: one\n", 3, "apps[0].appDirPath: expected the folder of the app, got nothing" },
        { "missing folder", "version: 1\napps:\n- appDirPath: three\n", 3, "apps[0].appDirPath: expected a folder, got \"three\"" },
        { "missing resources", "version: 1\ncommon:\n  resourcesPaths:\n  - nowhere\napps:\n- appDirPath: one\n", 3, "common.resourcesPaths: expected a folder, got \"nowhere\"" },
        { "missing configuration", "version: 1\napps:\n- appDirPath: one\n  configFilePath: c.yaml\n", 4, "apps[0].configFilePath: expected a file, got \"c.yaml\"" },
        { "port", "version: 1\napps:\n- appDirPath: one\n  appPort: http\n", 4, "apps[0].appPort: expected a whole number" },
        { "port too large", "version: 1\napps:\n- appDirPath: one\n  appPort: 70000\n", 4, "got \"70000\"" },
        { "port twice", "version: 1\napps:\n- appDirPath: one\n  appPort: 5001\n- appDirPath: two\n  daprHTTPPort: 5001\n", 6, "apps[1].daprHTTPPort: port 5001 is already the appPort of one" },
        { "internal port twice", "version: 1\napps:\n- appDirPath: one\n  appPort: 5001\n- appDirPath: two\n  daprInternalGRPCPort: 5001\n", 6, "apps[1].daprInternalGRPCPort: port 5001 is already the appPort of one" },
        { "protocol", "version: 1\napps:\n- appDirPath: one\n  appProtocol: tcp\n", 4, "apps[0].appProtocol: must be http, https, h2c, grpc or grpcs, got \"tcp\"" },
        { "destination", "version: 1\napps:\n- appDirPath: one\n  appLogDestination: screen\n", 4, "expected console or file or fileAndConsole, got \"screen\"" },
        { "size", "version: 1\napps:\n- appDirPath: one\n  maxBodySize: 4MB\n", 4, "apps[0].maxBodySize: expected a size such as 4Mi or 512Ki, below 2Gi, got \"4MB\"" },
        { "command of an empty word", "version: 1\napps:\n- appDirPath: one\n  command: [\"\"]\n", 4, "apps[0].command: expected a program and its arguments, got an empty word" },
        { "port as a text", "version: 1\napps:\n- appDirPath: one\n  appPort: \"5001\"\n", 4, "apps[0].appPort: expected a whole number, got \"5001\"" },
        { "indented by a tab", "version: 1\napps:\n- appDirPath: one\n\tappPort: 5001\n", 4, "the line is indented by a tab; expected spaces" },
        { "command as a text", "version: 1\napps:\n- appDirPath: one\n  command: dotnet run\n", 4, "apps[0].command: expected a list of texts, got \"dotnet run\"" },
        { "folder of sockets", "version: 1\napps:\n- appDirPath: one\n  unixDomainSocket: nowhere\n", 4, "apps[0].unixDomainSocket: expected a folder, got \"nowhere\"" },
        { "size of headers", "version: 1\ncommon:\n  readBufferSize: many\napps:\n- appDirPath: one\n", 3, "common.readBufferSize: expected a size such as 4Mi or 512Ki, below 2Gi, got \"many\"" },
        { "malformed", "version: 1\napps: [\n", 3, "not well-formed YAML" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_named_with_file_line_and_what_was_expected(string what, string yaml, int line, string expected)
    {
        Write(yaml);

        var error = Assert.Single(Assert.Throws<ResourceException>(() => RunFileReader.Read(_workspace.RunFile)).Errors);

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.True((_workspace.RunFile, line) == (error.Location.File, error.Location.Line), $"{what}: expected line {line}, got {error}");
    }

    public static TheoryData<string, string, int, string> Losses => new()
    {
        { "unknown field", "version: 1\nverison: 1\napps:\n- appDirPath: one\n", 2, "verison: unknown field; did you mean version?" },
        { "unknown field in common", "version: 1\ncommon:\n  resourcesPats: x\napps:\n- appDirPath: one\n", 3, "common.resourcesPats: unknown field; did you mean resourcesPath" },
        { "unknown field of an app", "version: 1\napps:\n- appDirPath: one\n  appid: x\n", 4, "apps[0].appid: unknown field; did you mean appID?" },
        { "a field that another has replaced", "version: 1\ncommon:\n  daprHTTPReadBufferSize: 8\napps:\n- appDirPath: one\n", 3, "common.daprHTTPReadBufferSize: has no effect, in Dapr neither: readBufferSize has taken its place" },
        { "one app port twice", "version: 1\napps:\n- appDirPath: one\n  appPort: 5001\n- appDirPath: two\n  appPort: 5001\n", 6, "apps[1].appPort: port 5001 is already the appPort of one; Dapr starts both" },
    };

    [Theory]
    [MemberData(nameof(Losses))]
    public void What_the_cli_passes_over_is_told_and_a_mistake_for_the_strict(string what, string yaml, int line, string expected)
    {
        Write(yaml);

        var warning = Assert.Single(_workspace.Plan().Warnings);

        Assert.Contains(expected, warning.Message, StringComparison.Ordinal);
        Assert.True((_workspace.RunFile, line) == (warning.Location.File, warning.Location.Line), $"{what}: expected line {line}, got {warning}");
        var strict = Assert.Throws<ResourceException>(() => LaunchPlan.Read(new LaunchOptions { RunFile = _workspace.RunFile, Strict = true }));
        Assert.Equal([warning], strict.Errors);
    }

    [Fact]
    public void Merge_keys_fields_of_ones_own_empty_arguments_and_empty_values_are_taken()
    {
        Write("""
            version: 1
            x-defaults: &defaults
              appDirPath: one
              appPort: 5001
              env: &env {A: 1, B: 2}
              command: [dotnet, run, "", ~, 7]
            x-own: {x: 1}
            apps:
            - <<: *defaults
              appPort: 5002
            - <<: [*defaults, {appDirPath: two, appID: merged}]
              env:
                B: own
                <<: *env
                C:
            """);

        var plan = _workspace.Plan();

        Assert.Equal([("one", 5002, "one"), ("merged", 5001, "one")], plan.RunFile.Apps.Select(a => (a.AppId, a.AppPort, Path.GetFileName(a.AppDirPath))));
        Assert.Equal(["dotnet", "run", "", "", "7"], plan.RunFile.Apps[0].Command);
        Assert.Equal([("A", "1"), ("B", "own"), ("C", "")], plan.RunFile.Apps[1].Env.OrderBy(e => e.Key).Select(e => (e.Key, e.Value)));
        Assert.Empty(plan.Warnings);
    }

    [Fact]
    public void Mistakes_of_the_run_file_and_of_all_that_it_names_are_shown_together()
    {
        _workspace.Write("components/bad.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec: {type: state.unheard, version: v1}\n")
            .Write("components/field.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: y}\nspec:\n  type: state.in-memory\n  version: v1\n  metadata:\n  - {name: unheard, value: 1}\n")
            .Write("one/.dapr/config.yaml", "kind: Resiliency\n");
        Write("version: 1\ncommon: {resourcesPaths: [components]}\napps:\n- {appDirPath: one, appProt: 1}\n- {appDirPath: two}\n");

        var errors = Assert.Throws<ResourceException>(() => LaunchPlan.Read(new LaunchOptions { RunFile = _workspace.RunFile, Strict = true })).Errors;

        Assert.Equal(
            [("bad.yaml", 4), ("field.yaml", 8), ("dapr.yaml", 4), ("config.yaml", 1)],
            errors.Select(e => (Path.GetFileName(e.Location.File), e.Location.Line)));
    }

    [Theory]
    [InlineData("[two]", "[two]", "broker", null)]
    [InlineData("[]", "[two]", "broker", null)]
    [InlineData("[one]", "[two]", "broker", "the pub/sub components that one may use, but there are none; got \"broker\"")]
    [InlineData("[]", "[]", "brokr", "the pub/sub components, which are broker; got \"brokr\"")]
    [InlineData("[]", "[]", "statestore", "the pub/sub components, which are broker; got \"statestore\"")]
    public void A_subscription_to_a_broker_that_its_app_cannot_see_is_told(string subscribers, string seenBy, string named, string? mistake)
    {
        Write("version: 1\ncommon: {resourcesPaths: [components]}\napps:\n- {appDirPath: one}\n- {appDirPath: two}\n");
        File.Delete(_workspace.PathOf("components/config.yaml"));
        _workspace.Write("components/broker.yaml", $"apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: broker}}\nspec: {{type: pubsub.in-memory, version: v1}}\nscopes: {seenBy}\n")
            .Write("components/orders.yaml", $"\napiVersion: dapr.io/v2alpha1\nkind: Subscription\nspec: {{pubsubname: {named}, topic: orders, routes: {{default: /orders}}}}\nscopes: {subscribers}\n");

        string[] expected = mistake is null ? [] : [$"{_workspace.PathOf("components/orders.yaml")}:4: spec.pubsubname: expected one of {mistake}, and Dapr delivers nothing by this subscription"];
        Assert.Equal(expected, _workspace.Plan().Warnings.Select(e => e.ToString()));
    }

    [Fact]
    public void A_resources_folder_that_does_not_exist_is_the_one_mistake_that_is_named()
    {
        _workspace.Write("components/orders.yaml", "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nspec: {pubsubname: broker, topic: orders, routes: {default: /orders}}\n");
        Write("version: 1\ncommon: {resourcesPaths: [components, components/redis]}\napps:\n- {appDirPath: one}\n- {appDirPath: two}\n");

        var error = Assert.Single(Assert.Throws<ResourceException>(() => _workspace.Plan()).Errors);

        Assert.StartsWith("common.resourcesPaths: expected a folder, got \"components/redis\"", error.Message, StringComparison.Ordinal);
        Directory.CreateDirectory(_workspace.PathOf("components/redis"));
        Assert.Equal(
            $"--resources-path: expected a folder with resource files, got \"nowhere\", and {Path.GetFullPath("nowhere")} does not exist.",
            Assert.Throws<LaunchException>(() => LaunchPlan.Read(new LaunchOptions { RunFile = _workspace.RunFile, ResourcesPath = "nowhere" })).Message);
    }

    [Fact]
    public void The_run_file_of_this_repository_starts_the_services_on_the_ports_of_the_design()
    {
        var plan = LaunchPlan.Read(new LaunchOptions { RunFile = Resources.RepositoryFiles.PathOf("dapr.yaml"), ResourcesPath = Resources.RepositoryFiles.PathOf("components", "local") });

        Assert.Equal(
            [
                ("payment-provider", 5199, 3599, 4599), ("inventory", 5102, 3502, 4502), ("payments", 5103, 3503, 4503), ("shipping", 5104, 3504, 4504),
                ("ordering", 5101, 3501, 4501), ("reporting", 5105, 3505, 4505), ("console", 5106, 3506, 4506),
            ],
            plan.RunFile.Apps.Select(a => (a.AppId, a.AppPort, a.DaprHttpPort, a.DaprGrpcPort)));
        Assert.All(plan.RunFile.Apps, app => Assert.Equal(
            [Resources.RepositoryFiles.PathOf("components", "common"), Resources.RepositoryFiles.PathOf("components", "local")], app.ResourcesPaths));
        Assert.Empty(plan.Warnings);
    }

    private void Write(string yaml)
    {
        foreach (var folder in new[] { "one", "two" })
            Directory.CreateDirectory(_workspace.PathOf(folder));
        _workspace.Write("components/config.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\n").Write("dapr.yaml", yaml);
    }
}
