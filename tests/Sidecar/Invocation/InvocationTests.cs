using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>What the recordings do not show: streams, credentials, replicas, secrets of endpoints.</summary>
public sealed class InvocationTests
{
    [Fact]
    public async Task An_answer_is_handed_on_while_it_is_still_being_written()
    {
        var firstSeen = new TaskCompletionSource();
        await using var shop = await StartAppAsync(async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("data: 1\n\n");
            await context.Response.Body.FlushAsync();
            await firstSeen.Task;
            await context.Response.WriteAsync("data: 2\n\n");
        });
        await using var dapr = await StartAsync(Caller(), App("shop", shop));
        using var client = Sidecars.Http(dapr["caller"]);

        using var answer = await client.GetAsync(
            new Uri("/v1.0/invoke/shop/method/events", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.Equal("data: 1", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        firstSeen.SetResult();
        Assert.Contains("data: 2", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_without_a_body_may_name_a_content_type()
    {
        await using var shop = await StartAppAsync(context => context.Response.WriteAsync(context.Request.Method));
        await using var dapr = await StartAsync(Caller(), App("shop", shop));

        // HttpClient would add a length; others, curl among them, do not.
        using var connection = new TcpClient();
        await connection.ConnectAsync(IPAddress.Loopback, dapr["caller"].HttpPort, TestContext.Current.CancellationToken);
        await connection.GetStream().WriteAsync(
            "GET /v1.0/invoke/shop/method/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"u8.ToArray(),
            TestContext.Current.CancellationToken);
        using var reader = new StreamReader(connection.GetStream());
        var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_app_that_answers_and_neither_reads_on_nor_closes_is_heard_and_can_be_called_again()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        // A large window would take the request without anybody reading it.
        listener.Server.ReceiveBufferSize = 4096;
        listener.Start();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var answering = AnswerAsync(listener, end.Token);
        var shop = Sidecars.App("shop") with { AppPort = ((IPEndPoint)listener.LocalEndpoint).Port };
        await using var dapr = await StartAsync(Caller() with { MaxBodyBytes = 64 << 20 }, shop);
        using var client = Sidecars.Http(dapr["caller"]);

        foreach (var size in new[] { 0, 30 << 20, 0, 30 << 20, 0 })
        {
            using var answer = await client.PostAsync(
                new Uri("/v1.0/invoke/shop/method/x", UriKind.Relative), new ByteArrayContent(new byte[size]), TestContext.Current.CancellationToken);
            Assert.Equal("ok", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
    }

    [Fact]
    public async Task A_large_answer_without_a_content_type_arrives_whole_with_the_one_that_Gos_server_names()
    {
        var page = $"<p>{new string('x', 1 << 20)}";
        await using var shop = await StartAppAsync(context => context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(page)).AsTask());
        await using var dapr = await StartAsync(Caller(), App("shop", shop));
        using var client = Sidecars.Http(dapr["caller"]);

        using var answer = await client.GetAsync(new Uri("/v1.0/invoke/shop/method/page", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal("text/html; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        Assert.Equal(page, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>As Ordering does: the endpoint has a limit of its own, below that of the sidecar, and what is above it is told as a problem.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_app_that_refuses_a_body_above_the_limit_of_its_endpoint_is_heard_with_its_problem(bool chunked)
    {
        await using var ordering = await StartAppAsync(
            async context =>
            {
                try
                {
                    await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
                }
                catch (BadHttpRequestException tooLarge)
                {
                    await Results.Problem(statusCode: tooLarge.StatusCode, type: "urn:daprorders:too-large").ExecuteAsync(context);
                }
            },
            largestBody: 1 << 20);
        await using var dapr = await StartAsync(Caller(), App("ordering", ordering));
        using var client = Sidecars.Http(dapr["caller"]);

        foreach (var (size, status) in new[] { (1 << 19, HttpStatusCode.OK), ((1 << 20) + 1, HttpStatusCode.RequestEntityTooLarge), (3 << 20, HttpStatusCode.RequestEntityTooLarge) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1.0/invoke/ordering/method/orders", UriKind.Relative)) { Content = new ByteArrayContent(new byte[size]) };
            request.Headers.TransferEncodingChunked = chunked;
            using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);

            Assert.Equal(status, answer.StatusCode);
            if (status == HttpStatusCode.RequestEntityTooLarge)
            {
                Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
                Assert.Contains("urn:daprorders:too-large", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Answers as soon as it has read the head of a request, and reads none of its body.</summary>
    private static async Task AnswerAsync(TcpListener listener, CancellationToken end)
    {
        var clients = new List<TcpClient>();
        try
        {
            while (true)
            {
                clients.Add(await listener.AcceptTcpClientAsync(end));
                _ = AnswerAsync(clients[^1].GetStream());
            }
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }

        async Task AnswerAsync(NetworkStream stream)
        {
            using var reader = new StreamReader(stream, bufferSize: 128);
            while (await reader.ReadLineAsync(end) is not null)
            {
                var hasBody = false;
                while (await reader.ReadLineAsync(end) is { Length: > 0 } header)
                    hasBody |= header.StartsWith("Content-Length: 3", StringComparison.Ordinal);
                await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray(), end);
                if (hasBody)
                    return;
            }
        }
    }

    [Fact]
    public async Task Basic_credentials_may_name_the_application()
    {
        await using var shop = await StartAppAsync(context => context.Response.WriteAsync($"{context.Request.Path}{context.Request.QueryString}"));
        await using var dapr = await StartAsync(Caller(), App("shop", shop));
        using var client = Sidecars.Http(dapr["caller"]);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes("dapr-app-id:shop")));
        Assert.Equal("/orders?x=1", await client.GetStringAsync(new Uri("/orders?x=1", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_app_gets_its_own_token_and_never_what_a_caller_says_of_itself()
    {
        await using var shop = await StartAppAsync(context =>
            context.Response.WriteAsync($"{context.Request.Headers["dapr-api-token"]} {context.Request.Headers["dapr-caller-app-id"]}"));
        await using var dapr = await StartAsync(Caller(), App("shop", shop) with { AppApiToken = "for-the-app" });
        using var client = Sidecars.Http(dapr["caller"]);
        client.DefaultRequestHeaders.Add("dapr-api-token", "guessed");
        client.DefaultRequestHeaders.Add("dapr-caller-app-id", "somebody-else");
        Assert.Equal(
            "for-the-app caller", await client.GetStringAsync(new Uri("/v1.0/invoke/shop/method/x", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Replicas_are_called_in_turns()
    {
        await using var first = await StartAppAsync(context => context.Response.WriteAsync("first"));
        await using var second = await StartAppAsync(context => context.Response.WriteAsync("second"));
        await using var dapr = await StartAsync(Caller(), App("shop", first), App("shop", second));
        using var client = Sidecars.Http(dapr["caller"]);
        var answers = new List<string>();
        for (var n = 0; n < 4; n++)
            answers.Add(await client.GetStringAsync(new Uri("/v1.0/invoke/shop/method/x", UriKind.Relative), TestContext.Current.CancellationToken));
        Assert.Equal(["first", "first", "second", "second"], answers.Order());
    }

    [Fact]
    public async Task An_endpoint_gets_its_headers_from_the_secret_store_and_only_callers_in_scope_know_it()
    {
        var variable = $"TOKEN_{Guid.NewGuid():N}";
        Environment.SetEnvironmentVariable(variable, "s3cret");
        await using var provider = await StartAppAsync(context => context.Response.WriteAsync($"{context.Request.Path} {context.Request.Headers["X-Key"]}"));
        var endpoint = new HttpEndpointResource(
            "provider",
            provider.Urls.Single() + "/base",
            [new MetadataItem("X-Key", null, new SecretKeyRef(variable, variable), null, default)],
            "environment",
            ["caller"],
            default);
        var resources = new ResourceSet([Sidecars.Component("environment", "secretstores.local.env")], [], [], [endpoint]);
        await using var dapr = await StartAsync(Caller() with { Resources = resources }, new SidecarOptions { AppId = "other", Resources = resources });

        using var inScope = Sidecars.Http(dapr["caller"]);
        Assert.Equal(
            "/base/charges s3cret",
            await inScope.GetStringAsync(new Uri("/v1.0/invoke/provider/method/charges", UriKind.Relative), TestContext.Current.CancellationToken));
        using var outOfScope = Sidecars.Http(dapr["other"]);
        using var refused = await outOfScope.GetAsync(new Uri("/v1.0/invoke/provider/method/charges", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.InternalServerError, refused.StatusCode);
    }

    [Fact]
    public async Task Calls_of_an_endpoint_and_of_a_secret_store_are_shown_before_they_are_made_and_can_be_made_to_fail()
    {
        await using var provider = await StartAppAsync(context => context.Response.WriteAsync("ok"));
        var shown = new ConcurrentQueue<string>();
        var isBroken = false;
        var resources = new ResourceSet(
            [Sidecars.Component("environment", "secretstores.local.env")], [], [], [new HttpEndpointResource("provider", provider.Urls.Single(), [], null, [], default)]);
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Caller() with { Resources = resources }],
                BeforeCall = (call, _) =>
                {
                    shown.Enqueue($"{call.Component} {call.Operation} {string.Join(',', call.Subjects)}");
                    return Volatile.Read(ref isBroken) ? throw new IOException("out of order") : default;
                },
            },
            TestContext.Current.CancellationToken);
        using var client = Sidecars.Http(dapr["caller"]);
        Uri[] paths =
        [
            new("/v1.0/invoke/provider/method/charges", UriKind.Relative),
            new("/v1.0/secrets/environment/PATH", UriKind.Relative),
            new("/v1.0/secrets/environment/bulk", UriKind.Relative),
        ];

        foreach (var path in paths)
            await client.GetStringAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(["provider GET /charges", "environment get PATH", "environment bulk_get "], shown);
        Volatile.Write(ref isBroken, true);
        foreach (var path in paths)
        {
            using var answer = await client.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
            Assert.Contains("out of order", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_breaker_that_is_open_for_one_method_of_an_app_is_closed_for_the_others()
    {
        await using var shop = await StartAppAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path == "/broken" ? 500 : 200;
            return Task.CompletedTask;
        });
        var breaker = ResourceLoader.Read("""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {circuitBreakers: {DefaultAppCircuitBreakerPolicy: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}}}
            """);
        await using var dapr = await StartAsync(Caller() with { Resources = breaker }, App("shop", shop));
        using var client = Sidecars.Http(dapr["caller"]);

        using var first = await CallAsync("broken");
        Assert.Equal("", await first.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        foreach (var again in new[] { "broken", "broken?x=1", "./broken/" })
        {
            using var open = await CallAsync(again);
            Assert.Contains("circuit breaker is open", await open.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        using var other = await CallAsync("fine");
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);

        Task<HttpResponseMessage> CallAsync(string method) =>
            client.GetAsync(new Uri($"/v1.0/invoke/shop/method/{method}", UriKind.Relative), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task An_HTTPEndpoint_has_one_breaker_for_all_its_methods()
    {
        await using var provider = await StartAppAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path == "/broken" ? 500 : 200;
            return Task.CompletedTask;
        });
        var resources = ResourceLoader.Read($$$$"""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {circuitBreakers: {cb: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}}}
              targets: {apps: {provider: {circuitBreaker: cb}}}
            ---
            apiVersion: dapr.io/v1alpha1
            kind: HTTPEndpoint
            metadata: {name: provider}
            spec: {baseUrl: "{{{{provider.Urls.Single()}}}}"}
            """);
        await using var dapr = await StartAsync(Caller() with { Resources = resources });
        using var client = Sidecars.Http(dapr["caller"]);

        (await client.GetAsync(new Uri("/v1.0/invoke/provider/method/broken", UriKind.Relative), TestContext.Current.CancellationToken)).Dispose();
        using var other = await client.GetAsync(new Uri("/v1.0/invoke/provider/method/fine", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Contains("circuit breaker is open", await other.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:5199", "localhost")]
    [InlineData("api.example.com", "")]
    [InlineData("", "")]
    public async Task An_HTTPEndpoint_of_which_nothing_can_be_called_fails_its_calls_and_nothing_else(string baseUrl, string scheme)
    {
        var resources = new ResourceSet([], [], [], [new HttpEndpointResource("provider", baseUrl, [], null, [], default)]);
        await using var dapr = await StartAsync(Caller() with { Resources = resources });
        using var client = Sidecars.Http(dapr["caller"]);

        using var answer = await client.GetAsync(new Uri("/v1.0/invoke/provider/method/charges?x=1", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal(
            $"failed to invoke, id: provider, err: Get \"{baseUrl}/charges?x=1\": unsupported protocol scheme \"{scheme}\"",
            (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["message"]);
    }

    private static SidecarOptions Caller() => Sidecars.App("caller");

    private static SidecarOptions App(string appId, WebApplication app) => Sidecars.App(appId) with { AppPort = new Uri(app.Urls.Single()).Port };

    private static async Task<EmbeddedDapr> StartAsync(params SidecarOptions[] apps)
    {
        var dapr = await Sidecars.StartAsync(apps);
        await dapr.Ready;
        return dapr;
    }

    private static async Task<WebApplication> StartAppAsync(RequestDelegate handle, long? largestBody = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.MapGet("/dapr/config", () => Results.NotFound());
        app.MapGet("/dapr/subscribe", () => Results.NotFound());
        var fallback = app.MapFallback("{**path}", handle);
        if (largestBody is { } limit)
            fallback.WithMetadata(new RequestSizeLimitAttribute(limit));
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }
}
