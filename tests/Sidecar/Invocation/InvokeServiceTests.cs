using System.Text;
using DaprOrders.Sidecar.Tests.Hosting;
using Google.Rpc;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Verb = Dapr.Client.Autogen.Grpc.v1.HTTPExtension.Types.Verb;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>InvokeService, from gRPC to an application that speaks HTTP (dapr pkg/messaging/v1/util.go).</summary>
public sealed class InvokeServiceTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(200, StatusCode.OK)]
    [InlineData(404, StatusCode.NotFound)]
    public async Task The_headers_of_the_answer_come_back_as_metadata(int status, StatusCode code)
    {
        await using var app = await AppAsync(status, "hello", headers =>
        {
            headers["X-Own"] = "a b";
            headers.CacheControl = "no-store";
            headers["X-Bytes-Bin"] = "text";
            headers["X-Odd!"] = "no metadata has such a name";
        });

        var (answered, headers, _) = await CallAsync(app);

        Assert.Equal(code, answered.StatusCode);
        Assert.Equal(("a b", "no-store", "text/plain"), (headers.GetValue("x-own"), headers.GetValue("dapr-cache-control"), headers.GetValue("dapr-content-type")));
        Assert.Equal($"{status}", headers.GetValue("dapr-http-status"));
        Assert.Equal("text"u8, headers.GetValueBytes("x-bytes-bin")!);
        Assert.NotNull(headers.GetValue("traceparent"));
        Assert.NotNull(headers.GetValueBytes("grpc-trace-bin"));
        Assert.Null(headers.Get("dapr-content-length") ?? headers.Get("content-length"));
    }

    [Theory]
    [InlineData(400, StatusCode.Internal, "Bad Request")]
    [InlineData(413, StatusCode.Unknown, "Request Entity Too Large")]
    [InlineData(414, StatusCode.Unknown, "Request URI Too Long")]
    [InlineData(416, StatusCode.Unknown, "Requested Range Not Satisfiable")]
    [InlineData(419, StatusCode.Unknown, "")]
    [InlineData(499, StatusCode.Unknown, "")]
    public async Task A_status_of_HTTP_is_worded_as_Go_does(int status, StatusCode code, string reason)
    {
        await using var app = await AppAsync(status, "no");

        var (answered, _, details) = await CallAsync(app);

        Assert.Equal((code, reason), (answered.StatusCode, answered.Detail));
        Assert.Equal(reason, Assert.Single(details!).Reason);
    }

    [Fact]
    public async Task The_message_of_an_error_is_told_by_its_first_63_bytes()
    {
        await using var app = await AppAsync(500, new string('x', 70));

        Assert.Equal(new string('x', 63), Assert.Single((await CallAsync(app)).Details!).Metadata["http.error_message"]);
    }

    [Fact]
    public async Task A_message_that_is_cut_within_a_character_leaves_no_details()
    {
        await using var app = await AppAsync(500, new string('x', 62) + "ü");

        Assert.Null((await CallAsync(app)).Details);
    }

    private static Task<TestApp> AppAsync(int status, string body, Action<IHeaderDictionary>? headers = null) => TestApp.StartAsync(async context =>
    {
        (context.Response.StatusCode, context.Response.ContentType) = (status, "text/plain");
        headers?.Invoke(context.Response.Headers);
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body), Cancellation);
    });

    private static async Task<(Grpc.Core.Status Status, Metadata Headers, IReadOnlyList<ErrorInfo>? Details)> CallAsync(TestApp app)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("caller"), Sidecars.App("shop") with { AppPort = app.Port });
        await dapr.Ready;
        using var channel = Sidecars.Grpc(dapr["caller"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        using var call = client.InvokeServiceAsync(
            new() { Id = "shop", Message = new() { Method = "x", HttpExtension = new() { Verb = Verb.Get } } }, cancellationToken: Cancellation);
        try
        {
            await call;
            return (Grpc.Core.Status.DefaultSuccess, await call.ResponseHeadersAsync, null);
        }
        catch (RpcException e)
        {
            var details = e.Trailers.GetValueBytes("grpc-status-details-bin");
            return (e.Status, await call.ResponseHeadersAsync, details is null ? null : [.. Google.Rpc.Status.Parser.ParseFrom(details).Details.Select(any => any.Unpack<ErrorInfo>())]);
        }
    }
}
