using System.Net;
using DaprOrders.Sidecar.Tests.Hosting;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>Invocations whose caller accepts nothing but an event stream (dapr pkg/sse).</summary>
public sealed class EventStreamTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("caller", 202, "application/json", 200, "text/event-stream", "no-cache")]
    [InlineData("shop", 202, "application/json", 200, "application/json", "max-age=9")]
    [InlineData("shop", 404, "application/json", 404, "application/json", "max-age=9")]
    public async Task A_success_is_200_and_from_another_app_an_event_stream(
        string caller, int answered, string contentType, int status, string expectedType, string caching)
    {
        var (answer, body) = await CallAsync(caller, answered, contentType, " Text/Event-Stream");

        Assert.Equal((status, expectedType, caching), ((int)answer.StatusCode, answer.Content.Headers.ContentType?.ToString(), answer.Headers.CacheControl?.ToString()));
        Assert.Equal("{}", body);
    }

    [Fact]
    public async Task Another_app_that_refuses_is_no_answer()
    {
        var (answer, body) = await CallAsync("caller", 404, "application/json", "text/event-stream");

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains(
            "failed to invoke, id: shop, err: rpc error: code = Internal desc = error invoking app channel: no response received from stream", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_accepts_something_else_too_gets_the_answer_as_it_is()
    {
        var (answer, _) = await CallAsync("caller", 202, "application/json", "text/event-stream, application/json");

        Assert.Equal((HttpStatusCode.Accepted, "application/json"), (answer.StatusCode, answer.Content.Headers.ContentType?.ToString()));
    }

    private static async Task<(HttpResponseMessage Answer, string Body)> CallAsync(string caller, int status, string contentType, string accepted)
    {
        await using var app = await TestApp.StartAsync(async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType, context.Response.Headers.CacheControl) = (status, contentType, "max-age=9");
            await context.Response.WriteAsync("{}", Cancellation);
        });
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("caller"), Sidecars.App("shop") with { AppPort = app.Port });
        await dapr.Ready;
        using var client = Sidecars.Http(dapr[caller]);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Accept", accepted);
        var answer = await client.GetAsync(new Uri("/v1.0/invoke/shop/method/events", UriKind.Relative), Cancellation);
        return (answer, await answer.Content.ReadAsStringAsync(Cancellation));
    }
}
