using System.Net;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Robustness;

/// <summary>
/// Whatever is sent to an API, it is answered by the API: with a status, never by the end of the process (an overflowing stack ends it, and this
/// test program with it) and never by the answer of last resort, that something unforeseen failed.
/// </summary>
public sealed class HostileRequestsTests : IAsyncLifetime
{
    private const int Mutations = 150;

    private TestApp _app = null!;
    private EmbeddedDapr _dapr = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, string, string> Apis => new()
    {
        { "POST", "/v1.0/state/store", "application/json", """[{"key":"a","value":{"b":[1,"c"]},"etag":"1","metadata":{"ttlInSeconds":"1"},"options":{"concurrency":"first-write"}}]""" },
        { "POST", "/v1.0/state/store/bulk", "application/json", """{"keys":["a","b"],"parallelism":2}""" },
        { "POST", "/v1.0/state/store/transaction", "application/json", """{"operations":[{"operation":"upsert","request":{"key":"a","value":[1]}},{"operation":"delete","request":{"key":"b"}}]}""" },
        { "POST", "/v1.0/publish/pubsub/topic", "application/json", """{"a":[1,{"b":"c"}]}""" },
        { "POST", "/v1.0/publish/pubsub/topic", "application/cloudevents+json", """{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1},"traceparent":"x"}""" },
        { "POST", "/v1.0/publish/bulk/pubsub/topic", "application/json", """[{"entryId":"1","event":{"a":1},"contentType":"application/json","metadata":{"x":"y"}}]""" },
        { "PUT", "/v1.0/actors/T/1/method/m", "application/json", """{"a":1}""" },
        { "POST", "/v1.0/actors/T/1/state", "application/json", """[{"operation":"upsert","request":{"key":"k","value":{"a":1},"metadata":{"x":"1"}}},{"operation":"delete","request":{"key":"l"}}]""" },
        { "POST", "/v1.0/actors/T/1/reminders/r", "application/json", """{"dueTime":"1h","period":"R2/PT1H","ttl":"P1D","data":{"a":1},"overwrite":true}""" },
        { "POST", "/v1.0/actors/T/1/timers/t", "application/json", """{"dueTime":"1h","period":"1h","callback":"c","data":[1]}""" },
        { "POST", "/v1.0/invoke/one/method/echo", "application/json", """{"a":1}""" },
        { "PUT", "/v1.0/metadata/key", "text/plain", "value" },
    };

    public async ValueTask InitializeAsync()
    {
        _app = await TestApp.StartAsync(context => context.Response.WriteAsync("""{"entities":["T"]}"""));
        var actorStore = Sidecars.Component("store", "state.in-memory", ("actorStateStore", "true"));
        _dapr = await Sidecars.StartAsync(Sidecars.App("one", actorStore, Sidecars.Component("pubsub", "pubsub.in-memory")) with { AppPort = _app.Port });
        await _dapr.Ready.WaitAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _dapr.DisposeAsync();
        await _app.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Are_answered_by_the_api(string verb, string path, string contentType, string _)
    {
        foreach (var (what, body) in HostileTexts.Bodies)
            await SendAsync(verb, path, contentType, body, what);

        await LivesAsync();
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Are_answered_by_the_api_when_bytes_of_good_ones_are_altered_by_chance(string verb, string path, string contentType, string good)
    {
        var random = new Random(20_26);
        for (var i = 0; i < Mutations; i++)
        {
            var body = Altered(Encoding.UTF8.GetBytes(good), random);
            await SendAsync(verb, path, contentType, body, $"alteration {i}: {Convert.ToBase64String(body)}");
        }

        await LivesAsync();
    }

    [Theory]
    [InlineData("%ff")]
    [InlineData("%00")]
    [InlineData("%ED%A0%80")]
    [InlineData("..%2F..%2F")]
    [InlineData("%252e%252e%252f")]
    [InlineData("a%")]
    [InlineData("%F0%9F%8D%B5")]
    public async Task Odd_words_in_a_path_are_answered(string word)
    {
        foreach (var path in new[]
                 {
                     $"/v1.0/state/store/{word}", $"/v1.0/state/{word}/a", $"/v1.0/publish/pubsub/{word}", $"/v1.0/actors/T/{word}/method/m", $"/v1.0/actors/T/1/method/{word}",
                     $"/v1.0/actors/{word}/1/state/k", $"/v1.0/actors/T/1/reminders/{word}", $"/v1.0/invoke/{word}/method/m", $"/v1.0/invoke/one/method/{word}", $"/{word}",
                 })
        {
            foreach (var verb in new[] { "GET", "POST", "PUT", "DELETE" })
                await SendAsync(verb, path, "application/json", "{}"u8.ToArray(), word);
        }

        await LivesAsync();
    }

    [Fact]
    public async Task Headers_and_queries_of_any_size_are_answered()
    {
        foreach (var length in new[] { 1_000, 20_000, 100_000 })
        {
            await SendAsync("GET", "/v1.0/state/store/a?metadata.x=" + new string('q', length), "application/json", [], $"a query of {length}");
            await SendAsync("GET", "/v1.0/invoke/one/method/echo", "application/json", [], $"a header of {length}", ("x-long", new string('h', length)));
        }

        await LivesAsync();
    }

    [Fact]
    public async Task Over_grpc_they_have_a_status()
    {
        using var channel = Sidecars.Grpc(_dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        foreach (var (what, body) in HostileTexts.Bodies)
        {
            var bytes = ByteString.CopyFrom(body);
            await CallAsync(what, () => client.SaveStateAsync(new SaveStateRequest
            {
                StoreName = "store",
                States = { new StateItem { Key = "a", Value = bytes, Metadata = { ["contentType"] = "application/json" } } },
            }, cancellationToken: Cancellation));
            foreach (var contentType in new[] { "application/json", "application/cloudevents+json", "text/plain", "application/octet-stream" })
            {
                await CallAsync(what, () => client.PublishEventAsync(
                    new PublishEventRequest { PubsubName = "pubsub", Topic = "topic", Data = bytes, DataContentType = contentType }, cancellationToken: Cancellation));
                await CallAsync(what, () => client.BulkPublishEventAsync(new BulkPublishRequest
                {
                    PubsubName = "pubsub",
                    Topic = "topic",
                    Entries = { new BulkPublishRequestEntry { EntryId = "1", Event = bytes, ContentType = contentType } },
                }, cancellationToken: Cancellation));
            }

            await CallAsync(what, () => client.InvokeActorAsync(new InvokeActorRequest { ActorType = "T", ActorId = "1", Method = "m", Data = bytes }, cancellationToken: Cancellation));
            await CallAsync(what, () => client.RegisterActorReminderAsync(
                new RegisterActorReminderRequest { ActorType = "T", ActorId = "1", Name = "r", DueTime = "1h", Data = bytes }, cancellationToken: Cancellation));
            await CallAsync(what, () => client.ExecuteActorStateTransactionAsync(new ExecuteActorStateTransactionRequest
            {
                ActorType = "T",
                ActorId = "1",
                Operations = { new TransactionalActorStateOperation { OperationType = "upsert", Key = "k", Value = new Any { Value = bytes } } },
            }, cancellationToken: Cancellation));
        }

        await CallAsync("no message", () => client.InvokeServiceAsync(new InvokeServiceRequest { Id = "one" }, cancellationToken: Cancellation));
        await LivesAsync();
    }

    private static async Task CallAsync<T>(string what, Func<AsyncUnaryCall<T>> call)
    {
        try
        {
            using var running = call();
            await running;
        }
        catch (RpcException refused)
        {
            // Unknown is daprd's code for a value that is no JSON, and the server's for what nobody caught.
            var isUncaught = refused is { StatusCode: StatusCode.Unknown, Status.Detail: var detail } && detail.StartsWith("Exception was thrown", StringComparison.Ordinal);
            Assert.False(isUncaught || refused.StatusCode is StatusCode.Unavailable or StatusCode.Cancelled, $"{what}: {refused.Status}");
        }
    }

    private static byte[] Altered(byte[] body, Random random)
    {
        var altered = body.ToList();
        for (var changes = random.Next(1, 4); changes > 0 && altered.Count > 1; changes--)
        {
            var at = random.Next(altered.Count);
            switch (random.Next(4))
            {
                case 0:
                    altered.RemoveAt(at);
                    break;
                case 1:
                    altered.Insert(at, (byte)"\"\\[]{}:,01eE.-u\0\u007f"[random.Next(17)]);
                    break;
                case 2:
                    altered[at] = (byte)random.Next(256);
                    break;
                default:
                    altered.RemoveRange(at, random.Next(altered.Count - at));
                    break;
            }
        }

        return [.. altered];
    }

    private async Task SendAsync(string verb, string path, string contentType, byte[] body, string what, params (string Name, string Value)[] headers)
    {
        using var http = Sidecars.Http(_dapr["one"]);
        var asWritten = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        using var request = new HttpRequestMessage(new HttpMethod(verb), new Uri($"http://127.0.0.1:{_dapr["one"].HttpPort}{path}", asWritten));
        request.Content = new ByteArrayContent(body) { Headers = { ContentType = new(contentType) } };
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);

        using var answer = await http.SendAsync(request, Cancellation);

        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.False(text.Contains("\"errorCode\":\"ERROR\"", StringComparison.Ordinal), $"{verb} {path}, {what}: {text}");
    }

    private async Task LivesAsync()
    {
        using var http = Sidecars.Http(_dapr["one"]);
        using var answer = await http.GetAsync(new Uri("/v1.0/healthz", UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }
}
