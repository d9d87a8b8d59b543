using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>bindings.http where the recordings of daprd are silent.</summary>
public sealed class HttpBindingTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_redirect_to_another_host_takes_no_secret_along()
    {
        await using var other = await TestApp.StartAsync(StatusCodes.Status200OK);
        await using var server = await TestApp.StartAsync(context =>
        {
            context.Response.Redirect($"http://127.0.0.1:{other.Port}/elsewhere");
            return Task.CompletedTask;
        });
        await using var dapr = await StartAsync($"http://127.0.0.1:{server.Port}", ("securityTokenHeader", "X-Token"), ("securityToken", "secret"));

        var (status, _) = await InvokeAsync(dapr, new { operation = "get", metadata = new Dictionary<string, string> { ["Authorization"] = "Bearer secret", ["X-Own"] = "1" } });

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("secret", server.LastHeaders["X-Token"]);
        Assert.Equal("GET /elsewhere", await other.NextCallAsync());
        Assert.Equal("1", other.LastHeaders["X-Own"]);
        Assert.DoesNotContain(other.LastHeaders, header => header.Value.ToString().Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Redirects_without_end_are_given_up()
    {
        await using var server = await TestApp.StartAsync(context =>
        {
            context.Response.Redirect("/again");
            return Task.CompletedTask;
        });
        await using var dapr = await StartAsync($"http://127.0.0.1:{server.Port}");

        var (status, text) = await InvokeAsync(dapr, new { operation = "get" });

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.EndsWith("stopped after 10 redirects", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("X-Own", "a\r\nX-Smuggled: 1", "net/http: invalid header field value for \"X-Own\"")]
    [InlineData("path", "/a HTTP/1.1\r\nX-Smuggled: 1", "net/url: invalid control character in URL")]
    public async Task Metadata_put_nothing_else_into_a_request(string field, string value, string reason)
    {
        await using var server = await TestApp.StartAsync(StatusCodes.Status200OK);
        await using var dapr = await StartAsync($"http://127.0.0.1:{server.Port}");

        var (status, text) = await InvokeAsync(dapr, new { operation = "get", metadata = new Dictionary<string, string> { [field] = value } });

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.EndsWith(reason, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_is_cut_at_the_largest_size()
    {
        await using var server = await TestApp.StartAsync(context => context.Response.WriteAsync("0123456789", Cancellation));
        await using var dapr = await StartAsync($"http://127.0.0.1:{server.Port}", ("maxResponseBodySize", "4"));

        Assert.Equal((HttpStatusCode.OK, "0123"), await InvokeAsync(dapr, new { operation = "get" }));
    }

    [Fact]
    public async Task An_answer_that_ends_early_is_an_error_of_the_binding()
    {
        await using var server = await TestApp.StartAsync(async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.WriteAsync("0123456789", Cancellation);
            await context.Response.Body.FlushAsync(Cancellation);
            context.Abort();
        });
        await using var dapr = await StartAsync($"http://127.0.0.1:{server.Port}");
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsJsonAsync(new Uri("/v1.0/bindings/out", UriKind.Relative), new { operation = "get" }, Cancellation);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancellation))!;
        Assert.Equal("ERR_INVOKE_OUTPUT_BINDING", (string)error["errorCode"]!);
        Assert.StartsWith("error invoking output binding out: ", (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_watches_the_sidecars_sees_a_call_before_it_is_made_and_may_let_it_fail()
    {
        await using var server = await TestApp.StartAsync(StatusCodes.Status200OK);
        var component = Sidecars.Component("out", "bindings.http", ("url", $"http://127.0.0.1:{server.Port}"));
        var options = new EmbeddedDaprOptions
        {
            Apps = [Sidecars.App("one", component)],
            BeforeCall = (call, _) => throw new IOException($"{call.AppId} {call.Component} {call.Operation} {call.Payloads.Single()}"),
        };
        await using var dapr = await EmbeddedDapr.StartAsync(options, Cancellation);

        var (status, text) = await InvokeAsync(dapr, new { operation = "post", data = 1 });

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.StartsWith("error invoking output binding out: one out post", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_none_is_told_by_the_call()
    {
        await using var dapr = await StartAsync("ftp://example.org");

        var (status, text) = await InvokeAsync(dapr, new { operation = "get" });

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.EndsWith("unsupported address \"ftp://example.org\": expected http:// or https://", text, StringComparison.Ordinal);
    }

    private static Task<EmbeddedDapr> StartAsync(string url, params (string Name, string Value)[] metadata) =>
        Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("out", "bindings.http", [("url", url), .. metadata])));

    /// <summary>The body, or the message of an error.</summary>
    private static async Task<(HttpStatusCode Status, string Text)> InvokeAsync(EmbeddedDapr dapr, object call)
    {
        using var http = Sidecars.Http(dapr["one"]);
        using var answer = await http.PostAsJsonAsync(new Uri("/v1.0/bindings/out", UriKind.Relative), call, Cancellation);
        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        return (answer.StatusCode, answer.IsSuccessStatusCode ? text : (string)JsonNode.Parse(text)!["message"]!);
    }
}
