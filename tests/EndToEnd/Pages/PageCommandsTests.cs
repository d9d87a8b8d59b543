using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using DaprOrders.Docs.Tests;
using DaprOrders.Tests.Servers;
using Microsoft.Data.Sqlite;

namespace DaprOrders.EndToEnd.Tests.Pages;

/// <summary>
/// Commands of pages that need a running system, read from the page and typed as they stand there. A block is named by its page and its first command; that
/// each block which is marked so is named here, tests/Docs sees to.
/// </summary>
public sealed partial class PageCommandsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_readme_s_first_command_starts_everything_and_what_it_prints_places_an_order_that_the_audit_finds_in_order()
    {
        Terminal.Require();
        var installation = new Installation(withConsole: true);
        var terminal = new Terminal(installation);
        await using var system = new OrdersSystem(installation) { Launcher = _ => terminal.Info(Block("README.md", "dotnet run --project sidecar")) };
        await system.InitializeAsync();
        await Until.TrueAsync(
            () => Task.FromResult(system.Output.Contains("See every order", StringComparison.Ordinal)), TimeSpan.FromMinutes(1), () => $"The launcher did not say where to go: {system.Output}");

        Assert.All(Shop.Apps.Append("console"), app => Assert.Matches($@"ready\s+{app}", system.Output));
        var placed = await terminal.RunAsync(CurlLine().Match(system.Output).Value);
        placed.Answer(201);
        Assert.Contains("HTTP/1.1 201 Created", placed.Output, StringComparison.Ordinal);
        var console = await terminal.RunAsync($"curl -s {ConsoleLine().Match(system.Output).Groups[1].Value}");
        console.Answer(200);
        Assert.Contains("<html", console.Output, StringComparison.Ordinal);

        string[] audits = [.. Block("README.md", "dotnet run --project sidecar -- audit"), .. Block("docs/runbook.md", "dotnet run --project sidecar -- audit")];
        foreach (var audit in audits)
            Assert.Contains("holds", (await terminal.RunAsync(audit)).Succeeded(), StringComparison.Ordinal);
        foreach (var ready in Block("docs/runbook.md", "curl -s http://localhost:5101/healthz/ready"))
            Assert.Equal("healthy", $"{(await terminal.RunAsync(ready)).Answer(200)!["status"]}", ignoreCase: true);

        await system.KillAsync();
        foreach (var audit in audits)
            Assert.Equal(2, (await terminal.RunAsync(audit)).ExitCode);
    }

    [Fact]
    public async Task Given_keys_that_were_changed_in_the_wrong_order_then_the_runbook_s_commands_show_the_dead_letters_and_once_that_is_mended_have_them_handled()
    {
        Terminal.Require();
        var installation = new Installation();
        var (present, next) = (OrdersSystem.NewSigningKey(), OrdersSystem.NewSigningKey());
        foreach (var app in Shop.Apps)
            installation.Set(app, "EVENTS_SIGNING_KEY", $"{present},{next}");
        // It has given up the key by which the others still sign; and no log is to bring what the topic does.
        installation.Set("inventory", "EVENTS_SIGNING_KEY", next);
        installation.Set("inventory", "CatchUp__Behind", "00:10:00");
        var terminal = new Terminal(installation);
        await using var system = new OrdersSystem(installation);
        await system.InitializeAsync();
        var sku = await system.Shop.StockAsync(1);
        var order = await system.Shop.OrderAsync(sku, 1);
        string[] commands = [.. Block("docs/runbook.md", "curl -s http://localhost:5102/dead-letters")];
        Assert.Equal(3, commands.Length);

        var letters = await Until.Async(
            async () => (await terminal.RunAsync(commands[0])).Answer(200)!["deadLetters"]!.AsArray(), letters => letters.Count > 0, "the order's event to become a dead letter");
        Assert.Equal((1, "OrderCreated", $"order-{order}"), ((int)letters[0]!["attempts"]!, $"{letters[0]!["type"]}", $"{letters[0]!["stream"]}"));
        Assert.Contains("sign", $"{letters[0]!["error"]}", StringComparison.OrdinalIgnoreCase);

        await system.KillAsync();
        installation.Set("inventory", "EVENTS_SIGNING_KEY", $"{next},{present}");
        await system.InitializeAsync();
        Assert.Equal("running", $"{(await terminal.RunAsync(commands[1])).Answer(202)!["status"]}");
        var redriven = await Until.Async(
            async () => (await terminal.RunAsync(commands[2])).Answer(200)!, redrive => $"{redrive["status"]}" == "done", "the redrive to be done");
        Assert.Equal((letters.Count, 0), ((int)redriven["handled"]!, (int)redriven["failed"]!));
        Assert.Empty((await terminal.RunAsync(commands[0])).Answer(200)!["deadLetters"]!.AsArray());

        Assert.Equal("shipped", Shop.Status(await system.Shop.FinalAsync(order)));
        await system.AuditAsync([order], new Dictionary<string, int> { [sku] = 1 });
    }

    [Fact]
    public async Task Given_a_store_that_has_lost_the_orders_then_the_runbook_s_commands_show_what_is_lost_and_have_work_go_on_without_it()
    {
        Terminal.Require();
        var installation = new Installation();
        var terminal = new Terminal(installation);
        await using var system = new OrdersSystem(installation);
        await system.InitializeAsync();
        var sku = await system.Shop.StockAsync(2);
        await system.Shop.FinalAsync(await system.Shop.OrderAsync(sku, 1));
        string[] commands = [.. Block("docs/runbook.md", "curl -s http://localhost:5101/event-log -H dapr-caller-app-id:console -H dapr-api-token:$APP_API_TOKEN")];
        Assert.Equal(2, commands.Length);

        Assert.Null((await terminal.RunAsync(commands[0])).Answer(200)!["loss"]);
        await EmptyAsync(installation, "ordering");
        var loss = await Until.Async(
            async () => (await terminal.RunAsync(commands[0])).Answer(200)!["loss"], loss => loss is not null, "the loss to be noticed");
        Assert.NotEmpty(loss!["parts"]!.AsArray());
        using var refused = await system.Shop.PlaceAsync(sku, 1);
        Assert.Equal("urn:daprorders:store-went-back", $"{(await Shop.ReadAsync(refused, HttpStatusCode.ServiceUnavailable))["type"]}");

        Assert.NotNull((await terminal.RunAsync(commands[1])).Answer(202)!["declaredAt"]);
        await Until.TrueAsync(
            async () =>
            {
                using var placed = await system.Shop.PlaceAsync(sku, 1);
                return placed.StatusCode == HttpStatusCode.Created
                    && Shop.Status(await system.Shop.FinalAsync($"{(await Shop.ReadAsync(placed, HttpStatusCode.Created))["orderId"]}")) == "shipped";
            },
            TimeSpan.FromMinutes(2),
            () => $"No order was shipped after the recovery: {system.Output}");
    }

    [Fact]
    public async Task With_the_tokens_of_the_security_page_people_may_what_it_says_and_nobody_else_may()
    {
        Terminal.Require();
        var installation = new Installation();
        // user-jwts looks at the project, and its keys are for this test alone.
        Directory.CreateDirectory(Path.Combine(installation.Folder, "services", "Ordering"));
        foreach (var file in new[] { "Directory.Build.props", "Directory.Packages.props", "services/Ordering/Ordering.csproj" })
            File.Copy(Path.Combine(Installation.RepositoryRoot, file), Path.Combine(installation.Folder, file));
        var terminal = new Terminal(installation);
        await using var system = new OrdersSystem(installation)
        {
            Launcher = _ =>
            {
                var start = terminal.Info(Block("docs/security.md", "echo '{}' > services/Ordering/appsettings.Development.json"));
                start.Environment["APPDATA"] = installation.Folder;
                return start;
            },
        };
        await system.InitializeAsync();
        var tokens = Token().Matches(system.Output).Select(token => token.Groups[1].Value).ToArray();
        Assert.Equal(2, tokens.Length);
        var (buyer, ann) = (Bearer(tokens[0]), Bearer(tokens[1]));
        object product = new { name = "Tea", price = new { amount = 9.5, currency = "EUR" } };

        await AnswersAsync(401, HttpMethod.Put, "inventory", "products/tea", product);
        await AnswersAsync(403, HttpMethod.Put, "inventory", "products/tea", product, buyer);
        await AnswersAsync(201, HttpMethod.Put, "inventory", "products/tea", product, ann);
        await AnswersAsync(200, HttpMethod.Post, "inventory", "products/tea/receipts", new { quantity = 5 }, ann, ("Idempotency-Key", "first"));
        await AnswersAsync(401, HttpMethod.Post, "ordering", "orders", OrderOf("c-42"));
        await AnswersAsync(403, HttpMethod.Post, "ordering", "orders", OrderOf("c-43"), buyer);
        // The price comes by a topic.
        await Until.Async(() => AnswerAsync(HttpMethod.Post, "ordering", "orders", OrderOf("c-42"), buyer), status => status == 201, "the buyer's order to be taken");
        await AnswersAsync(200, HttpMethod.Get, "reporting", "customers/c-42/orders", null, buyer);
        await AnswersAsync(403, HttpMethod.Get, "reporting", "customers/c-43/orders", null, buyer);
        await AnswersAsync(200, HttpMethod.Get, "reporting", "customers/c-42/orders", null, ann);

        async Task AnswersAsync(int status, HttpMethod method, string app, string path, object? body, params (string, string)[] headers) =>
            Assert.Equal((path, status), (path, await AnswerAsync(method, app, path, body, headers)));

        async Task<int> AnswerAsync(HttpMethod method, string app, string path, object? body, params (string, string)[] headers)
        {
            using var answer = await system.Shop.SendAsync(method, app, path, body, headers);
            return (int)answer.StatusCode;
        }

        static object OrderOf(string customer) => new { customerId = customer, paymentMethod = "pm_card_ok", lines = new[] { new { sku = "tea", quantity = 1 } } };

        static (string, string) Bearer(string token) => ("Authorization", $"{new AuthenticationHeaderValue("Bearer", token)}");
    }

    [Fact]
    public async Task The_commands_of_components_nats_start_a_server_make_its_streams_and_ship_an_order_on_it()
    {
        Terminal.Require();
        ServerProgram.Require(NatsServer.Missing ?? PostgresServer.Missing);
        await using var postgres = await PostgresServer.StartAsync(Cancellation);
        var port = FreePort.Next();
        var installation = new Installation();
        installation.Use(
            "nats", ("nats://localhost:4222", $"nats://{NatsServer.Host}:{port}"), (FolderServers.ShippedPostgres, postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancellation))));
        installation.Write();
        var terminal = new Terminal(installation, ("nats-server ", $"nats-server --addr {NatsServer.Host} --port {port} "));
        string[] commands = [.. Block("docs/brokers.md", "nats-server --jetstream --store_dir data/nats")];
        Assert.Equal(3, commands.Length);
        using var nats = Process.Start(terminal.Info([commands[0]]))!;
        try
        {
            await Until.TrueAsync(() => IsOpenAsync(port), TimeSpan.FromSeconds(30), () => "The NATS server does not listen.");

            Assert.Contains("made a stream for orders", (await terminal.RunAsync(commands[1])).Succeeded(), StringComparison.Ordinal);
            await using var system = new OrdersSystem(installation) { Launcher = _ => terminal.Info([commands[2]]) };
            await system.InitializeAsync();
            var sku = await system.Shop.StockAsync(1);
            var order = await system.Shop.OrderAsync(sku, 1);
            Assert.Equal("shipped", Shop.Status(await system.Shop.FinalAsync(order)));
            Assert.True(Directory.Exists(Path.Combine(installation.Folder, "data", "nats", "jetstream")), "What the server keeps is not in data/nats.");
        }
        finally
        {
            nats.Kill(entireProcessTree: true);
            await nats.WaitForExitAsync(Cancellation);
        }
    }

    /// <summary>The commands of the one block of a page that begins with this one.</summary>
    private static IEnumerable<string> Block(string page, string first) =>
        Page.All.Single(one => one.Name == page).Blocks.Single(block => block.Info.StartsWith("sh ", StringComparison.Ordinal) && block.Commands.First() == first).Commands;

    /// <summary>Somebody empties a table, as far as it is this service's, while everything runs.</summary>
    private static async Task EmptyAsync(Installation installation, string app)
    {
        await using var store = new SqliteConnection($"Data Source={installation.DataFolder}/state.db;Default Timeout=30");
        await store.OpenAsync(Cancellation);
        await using var delete = store.CreateCommand();
        delete.CommandText = "DELETE FROM state WHERE key LIKE $prefix";
        delete.Parameters.AddWithValue("$prefix", $"{app}||%");
        Assert.True(await delete.ExecuteNonQueryAsync(Cancellation) > 0, "there was nothing to lose");
    }

    private static async Task<bool> IsOpenAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(NatsServer.Host, port, Cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    [GeneratedRegex("curl -i .*")]
    private static partial Regex CurlLine();

    [GeneratedRegex(@"See every order: (\S+)")]
    private static partial Regex ConsoleLine();

    [GeneratedRegex(@"Token: (\S+)")]
    private static partial Regex Token();
}
