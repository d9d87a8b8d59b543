using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// The simulation is worth what its stores are: what a daprd answered over real stores (tests/Sidecar/Recordings/data), the simulated store of
/// that class answers too.
/// </summary>
public sealed partial class RecordedStoreTests
{
    public static TheoryData<string, StoreClass, string> Recordings
    {
        get
        {
            var data = new TheoryData<string, StoreClass, string>();
            foreach (var (store, kind) in new[]
                     {
                         ("in-memory", StoreClass.Sqlite), ("sqlite", StoreClass.Sqlite), ("redis", StoreClass.Redis), ("postgresql", StoreClass.Postgres),
                     })
            {
                foreach (var scenario in new[] { "state-etag", "state-first-write", "state-bulk-save", "state-transaction" })
                {
                    data.Add(store, kind, scenario);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Recordings))]
    public void What_daprd_answered_the_simulated_store_answers(string store, StoreClass kind, string scenario)
    {
        var recording = JsonElement.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Recorded", store, $"{scenario}.json")));
        var player = new StatePlayer(new SimulatedStore(kind));

        foreach (var step in recording.GetProperty("steps").EnumerateArray().SelectMany(StepsOf))
        {
            player.Play(step);
        }

        Assert.InRange(player.Compared, 10, int.MaxValue);
    }

    // Of steps that ran at once, the one that won goes first.
    private static IEnumerable<JsonElement> StepsOf(JsonElement step) => step.TryGetProperty("parallel", out var parallel)
        ? parallel.EnumerateArray().OrderBy(one => StatePlayer.StatusOf(one) == "OK" ? 0 : 1)
        : [step];

    /// <summary>Makes the calls of a recording on a simulated store, and compares what is read and which writes were taken, refused or failed.</summary>
    private sealed partial class StatePlayer(SimulatedStore store)
    {
        private readonly Dictionary<string, string?> _saved = [];

        public int Compared { get; private set; }

        public static string StatusOf(JsonElement step) => step.GetProperty("got").GetProperty("status").ToString();

        public void Play(JsonElement step)
        {
            var (call, request) = CallOf(step);
            switch (call)
            {
                case "SaveState":
                    Compare(step, store.SaveMany(Items(request, "states").Select(Upsert)));
                    break;
                case "DeleteState":
                    Compare(step, store.Save(Delete(request)));
                    break;
                case "DeleteBulkState":
                    Compare(step, store.SaveMany(Items(request, "states").Select(Delete)));
                    break;
                case "ExecuteStateTransaction" when Items(request, "operations").Select(Operation).ToArray() is var operations
                    && operations.All(operation => operation is not null):
                    Compare(step, store.Transact(operations!));
                    break;
                case "GetState":
                    CompareRead(step, request.GetProperty("key").GetString()!);
                    break;
                case "GetBulkState":
                    CompareBulkRead(step);
                    break;
            }
        }

        // Refusals of the API itself (unknown operations, illegal keys, ...) never come to a store: null.
        private static (string? Call, JsonElement Request) CallOf(JsonElement step)
        {
            if (step.TryGetProperty("grpc", out var method))
            {
                return (method.GetString(), step.GetProperty("request"));
            }

            if (!step.TryGetProperty("http", out var line) || StatusOf(step) == "400")
            {
                return (null, default);
            }

            var (verb, path) = line.GetString()!.Split(' ') is [var first, var second] ? (first, second) : default;
            var body = step.TryGetProperty("json", out var json) ? json : default;
            return (verb, path["/v1.0/state/store".Length..]) switch
            {
                ("POST", "") => ("SaveState", body),
                ("POST", "/bulk") => ("GetBulkState", body),
                ("POST", "/transaction") => ("ExecuteStateTransaction", body),
                ("GET", var key) => ("GetState", Request(key, null)),
                ("DELETE", var key) => ("DeleteState", Request(key, step)),
                _ => (null, default),
            };
        }

        private static JsonElement Request(string path, JsonElement? step) => JsonSerializer.SerializeToElement(new
        {
            key = path[1..],
            etag = step is { } call && call.TryGetProperty("headers", out var headers) ? headers.GetProperty("If-Match").GetString() : null,
        });

        private static JsonElement[] Items(JsonElement request, string name) =>
            request.ValueKind == JsonValueKind.Array ? [.. request.EnumerateArray()]
            : request.TryGetProperty(name, out var items) ? [.. items.EnumerateArray()] : [];

        private SimulatedWrite Upsert(JsonElement item) => new(
            item.TryGetProperty("key", out var key) ? key.GetString()! : "", Encoding.UTF8.GetBytes(Text(item.GetProperty("value"))), Tag(item), FirstWrite(item));

        private SimulatedWrite Delete(JsonElement item) => new(item.GetProperty("key").GetString()!, null, Tag(item), FirstWrite(item));

        private SimulatedWrite? Operation(JsonElement operation)
        {
            var kind = (operation.TryGetProperty("operationType", out var type) ? type : operation.GetProperty("operation")).GetString();
            var request = operation.GetProperty("request");
            return kind switch
            {
                "upsert" => Upsert(request),
                "delete" => Delete(request),
                _ => null,
            };
        }

        private string? Tag(JsonElement item)
        {
            if (!item.TryGetProperty("etag", out var etag) || etag.ValueKind == JsonValueKind.Null)
            {
                return null;
            }

            var text = (etag.ValueKind == JsonValueKind.Object ? etag.GetProperty("value") : etag).GetString()!;
            text = Variable().Replace(text, match => _saved[match.Groups[1].Value] ?? "");
            return text.Length == 0 ? null : text;
        }

        private static bool FirstWrite(JsonElement item) =>
            item.TryGetProperty("options", out var options) && options.TryGetProperty("concurrency", out var concurrency)
            && concurrency.GetString() is "CONCURRENCY_FIRST_WRITE" or "first-write";

        private static string Text(JsonElement value) =>
            value.ValueKind == JsonValueKind.String && value.GetString()!.StartsWith("@text ", StringComparison.Ordinal)
                ? value.GetString()!["@text ".Length..]
                : value.GetRawText();

        private void Compare(JsonElement step, Answer answer)
        {
            var recorded = StatusOf(step) switch
            {
                "OK" or "204" or "200" => Answer.Written,
                "Aborted" or "409" => Answer.Refused,
                _ => Answer.Failed,
            };
            Assert.True(recorded == answer, $"daprd: {recorded}, simulated: {answer}, for {step}");
            Compared++;
        }

        private void CompareRead(JsonElement step, string key)
        {
            var got = step.GetProperty("got");
            var read = store.Get(key);
            if (step.TryGetProperty("save", out var save))
            {
                foreach (var variable in save.EnumerateObject())
                {
                    _saved[variable.Name] = read?.ETag;
                }
            }

            JsonElement? body = got.TryGetProperty("body", out var answered) ? answered : null;
            var recorded = body is { ValueKind: JsonValueKind.Object } answer && step.TryGetProperty("grpc", out _)
                ? answer.TryGetProperty("data", out var data) ? data : (JsonElement?)null
                : body;
            CompareValue(step, key, recorded, read);
        }

        private void CompareBulkRead(JsonElement step)
        {
            foreach (var item in Items(step.GetProperty("got").GetProperty("body"), "items"))
            {
                var key = item.GetProperty("key").GetString()!;
                CompareValue(step, key, item.TryGetProperty("data", out var data) ? data : null, store.Get(key));
            }
        }

        private void CompareValue(JsonElement step, string key, JsonElement? recorded, StateValue? read)
        {
            var expected = recorded is { } data ? Text(data) : null;
            var actual = read is null ? null : Encoding.UTF8.GetString(read.Value.Span);
            var same = expected is null || actual is null ? expected == actual : JsonElement.DeepEquals(JsonElement.Parse(expected), JsonElement.Parse(actual));
            Assert.True(same, $"daprd: {key} is {expected}, simulated: {actual}, for {step}");
            Compared++;
        }

        [GeneratedRegex(@"^\{\{(\w+)\}\}$")]
        private static partial Regex Variable();
    }
}
