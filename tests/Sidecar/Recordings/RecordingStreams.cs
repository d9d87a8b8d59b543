using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The streaming calls that a recording holds open, by name. What they get is written down like calls of an app of that name.</summary>
public sealed class RecordingStreams(AppCalls calls, RecordedForm form) : IAsyncDisposable
{
    private readonly Dictionary<string, OpenStream> _open = [];

    /// <summary>The names of those that have not ended.</summary>
    public IEnumerable<string> Open => _open.Where(stream => !stream.Value.HasEnded).Select(stream => stream.Key);

    /// <summary>Opens a stream; what is got is its first message, or why there is none; and that message as it came.</summary>
    public async Task<(JsonObject Got, JsonNode? First)> OpenAsync(CallInvoker invoker, string method, JsonObject step, CancellationToken cancel)
    {
        var name = (string)step["open"]!;
        var serve = (step["serve"]?.AsObject() ?? []).ToDictionary(
            served => served.Key, served => (IReadOnlyList<AppAnswer>)served.Value.Deserialize<List<AppAnswer>>(JsonSerializerOptions.Web)!);
        var stream = _open[name] = new OpenStream(name.Split('#')[0], method, serve, calls, form);
        return await stream.StartAsync(invoker, step["request"]!, cancel);
    }

    /// <summary>The client goes away.</summary>
    public Task CloseAsync(string name) => _open[name].CloseAsync();

    public Task<JsonObject> EndedAsync(string name, CancellationToken cancel) => _open[name].EndedAsync(cancel);

    public async ValueTask DisposeAsync()
    {
        foreach (var stream in _open.Values)
            await stream.CloseAsync();
    }

    private sealed class OpenStream(
        string app, string method, IReadOnlyDictionary<string, IReadOnlyList<AppAnswer>> serve, AppCalls calls, RecordedForm form)
    {
        private readonly CancellationTokenSource _gone = new();
        private readonly SemaphoreSlim _writing = new(1);
        private readonly AnswersInTurn _turns = new();
        private readonly TaskCompletionSource<JsonObject> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private AsyncDuplexStreamingCall<IMessage, IMessage>? _call;
        private Task _reading = Task.CompletedTask;

        public async Task<(JsonObject Got, JsonNode? First)> StartAsync(CallInvoker invoker, JsonNode request, CancellationToken cancel)
        {
            _call = invoker.AsyncDuplexStreamingCall(GrpcCalls.Method(method, MethodType.DuplexStreaming), null, new CallOptions(cancellationToken: _gone.Token));
            try
            {
                await _call.RequestStream.WriteAsync(GrpcCalls.Request(method, request), cancel);
                if (!GrpcCalls.TakesMore(method))
                    await _call.RequestStream.CompleteAsync();
                if (!await _call.ResponseStream.MoveNext(cancel))
                    return (new JsonObject { ["status"] = "OK" }, null);
                var first = GrpcCalls.Shown(_call.ResponseStream.Current);
                _reading = ReadAsync(_call.ResponseStream);
                return (new JsonObject { ["status"] = "OK", ["body"] = form.Json(first) }, first);
            }
            catch (RpcException refused)
            {
                return (GrpcCalls.Refusal(refused, form), null);
            }
        }

        public bool HasEnded => _ended.Task.IsCompleted;

        public async Task CloseAsync()
        {
            await _gone.CancelAsync();
            await _reading;
        }

        public Task<JsonObject> EndedAsync(CancellationToken cancel) => _ended.Task.WaitAsync(cancel);

        private async Task ReadAsync(IAsyncStreamReader<IMessage> messages)
        {
            try
            {
                while (await messages.MoveNext(CancellationToken.None))
                    _ = AnswerAsync(GrpcCalls.Shown(messages.Current));
                _ended.SetResult(new JsonObject { ["status"] = "OK" });
            }
            catch (RpcException end)
            {
                _ended.SetResult(GrpcCalls.Refusal(end, form));
            }
        }

        private async Task AnswerAsync(JsonNode message)
        {
            var answer = NextAnswer(message["eventMessage"]);
            var json = answer?.JsonText is { } text ? JsonNode.Parse(text) : null;
            var status = json?["status"];
            var done = calls.Arrived(app, $"stream {method}", null, form.Json(message));
            await Task.Delay(answer?.DelayMs ?? 0);
            // Whether it gets there or not, that is what was answered.
            done(status?.DeepClone());
            if (json is null)
                return;
            var processed = new JsonObject { ["eventProcessed"] = new JsonObject { ["id"] = message["eventMessage"]!["id"]?.DeepClone() ?? "", ["status"] = json } };
            await _writing.WaitAsync();
            try
            {
                await _call!.RequestStream.WriteAsync(GrpcCalls.Request(method, processed));
            }
            catch (Exception gone) when (gone is RpcException or InvalidOperationException)
            {
                // The sidecar or this client ended first; the recording tells what comes of it.
            }
            finally
            {
                _writing.Release();
            }
        }

        /// <summary>By the <c>name</c> in the event's data, else the star's; "-" is no answer.</summary>
        private AppAnswer? NextAnswer(JsonNode? delivered)
        {
            var name = NameIn((string?)delivered?["data"]);
            var key = serve.ContainsKey(name) ? name : "*";
            if (!serve.TryGetValue(key, out var answers))
                return null;
            var answer = _turns.Next(key, answers);
            return answer.Text == "-" ? null : answer;
        }

        private static string NameIn(string? data) => data is ['@', 't', 'e', 'x', 't', ' ', .. var text] ? GrpcCalls.NameIn(text) : "";
    }
}
