using System.Buffers.Binary;
using System.Net;
using System.Text;
using Dapr.AppCallback.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Launcher;
using DaprOrders.Sidecar.Tests.PubSub;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Concurrency = Dapr.AppCallback.Autogen.Grpc.v1.BindingEventResponse.Types.BindingEventConcurrency;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>The API of bindings where the recordings of daprd are silent.</summary>
public sealed class BindingsApiTests : IDisposable
{
    /// <summary>As a file: bindings.localstorage takes it for base64.</summary>
    private const string Null = "\ufffd\ufffde";

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("files", "{}", "error invoking output binding files: operation field is missing from request")]
    [InlineData("nosuch", "{}", "error invoking output binding nosuch: operation field is missing from request")]
    [InlineData("nosuch", """{"operation": "get"}""", "error invoking output binding nosuch: couldn't find output binding nosuch")]
    public async Task A_missing_operation_is_missed_before_the_binding(string name, string body, string message)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Files("files")));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsync(new Uri($"/v1.0/bindings/{name}", UriKind.Relative), new StringContent(body), Cancellation);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains(message, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_fields_of_a_call_may_be_of_any_case()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Files("files")));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsync(
            new Uri("/v1.0/bindings/files", UriKind.Relative), new StringContent("""{"Operation": "create", "DATA": {"n": 1}, "metaData": {"fileName": "a"}}"""), Cancellation);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("""{"n":1}""", await File.ReadAllTextAsync(Path.Combine(_folder.File("files"), "a"), Cancellation));
    }

    [Theory]
    [InlineData(200, StatusCode.OK)]
    [InlineData(500, StatusCode.Internal)]
    public async Task Over_gRPC_the_metadata_of_an_answer_are_metadata_of_the_call_too(int status, StatusCode code)
    {
        await using var app = await TestApp.StartAsync(status);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("web", "bindings.http", ("url", $"http://127.0.0.1:{app.Port}"))));
        using var channel = Sidecars.Grpc(dapr["one"]);

        using var call = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).InvokeBindingAsync(new() { Name = "web", Operation = "get" }, cancellationToken: Cancellation);
        await Task.WhenAny(call.ResponseAsync);

        Assert.Equal(code, call.GetStatus().StatusCode);
        var headers = await call.ResponseHeadersAsync;
        Assert.Equal($"{status}", headers.GetValue("metadata.statuscode"));
        Assert.NotNull(headers.GetValueBytes("grpc-trace-bin"));
    }

    [Theory]
    [InlineData(Concurrency.Sequential, """{"b": 1, "a": "x"}""", """{"a":"x","b":1}""", "")]
    [InlineData(Concurrency.Parallel, """{"b": 1, "a": "x"}""", """{"a":"x","b":1}""", """{"a":"x","b":1}""")]
    [InlineData(Concurrency.Sequential, "no JSON", Null, "")]
    public async Task What_a_gRPC_app_answers_to_a_tick_goes_to_the_output_bindings_that_it_names(Concurrency concurrency, string data, string first, string behindTheFailed)
    {
        var ticks = 0;
        await using var app = await TestApp.StartAsync(
            context => context.Request.Path.Value!.Split('/')[^1] switch
            {
                "ListInputBindings" => AnswerAsync(context, new ListInputBindingsResponse { Bindings = { "tick" } }),
                "OnBindingEvent" when Interlocked.Increment(ref ticks) == 1 => AnswerAsync(
                    context, new BindingEventResponse { To = { "first", "nosuch", "last" }, Data = ByteString.CopyFromUtf8(data), Concurrency = concurrency }),
                "OnBindingEvent" => AnswerAsync(context, new BindingEventResponse()),
                _ => UnimplementedAsync(context),
            },
            listen: listen => listen.Protocols = HttpProtocols.Http2);
        var components = new[] { Sidecars.Component("tick", "bindings.cron", ("schedule", "@every 1s")), Files("first"), Files("last") };
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", components) with { AppPort = app.Port, AppProtocol = AppProtocol.Grpc });

        await Eventually.HoldsAsync(() => Volatile.Read(ref ticks) > 1, "the app was called again");
        await Eventually.HoldsAsync(() => Written("first") == first && Written("last") == behindTheFailed, "the bindings have what is for them");
    }

    private static Task UnimplementedAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = $"{StatusCode.Unimplemented:D}";
        return Task.CompletedTask;
    }

    private static async Task AnswerAsync(HttpContext context, IMessage message)
    {
        var framed = new byte[5 + message.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), framed.Length - 5);
        message.WriteTo(framed.AsSpan(5));
        context.Response.ContentType = "application/grpc";
        context.Response.AppendTrailer("grpc-status", "0");
        await context.Response.Body.WriteAsync(framed, Cancellation);
    }

    private EmbeddedSidecar.Resources.ComponentResource Files(string name) =>
        Sidecars.Component(name, "bindings.localstorage", ("rootPath", _folder.File(name)));

    private string Written(string binding) => Directory.Exists(_folder.File(binding))
        ? string.Join('|', Directory.GetFiles(_folder.File(binding)).Select(file => File.ReadAllText(file, Encoding.UTF8)))
        : "";
}
