using System.Collections.Concurrent;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Dapr;
using Dapr.Client;
using DaprOrders.EventSourcing.State;
using Grpc.Core;
using Moq;

namespace DaprOrders.Doubles;

/// <summary>
/// A DaprClient whose state lives in memory, with ETags, first-write and bulk saves that are half done, as a sidecar has them.
/// </summary>
internal sealed class StateInMemory : IBulkStateReads
{
    private readonly ConcurrentDictionary<string, (string Json, string ETag)> _items = [];
    private readonly Lock _lock = new();
    private int _writes;

    public StateInMemory()
    {
        Mock.SetupGet(client => client.JsonSerializerOptions).Returns(Json);
        Mock.Setup(client => client.GetStateAndETagAsync<It.IsAnyType>(
                It.IsAny<string>(), It.IsAny<string>(), It.IsAny<ConsistencyMode?>(), It.IsAny<IReadOnlyDictionary<string, string>>(), It.IsAny<CancellationToken>()))
            .Returns(new InvocationFunc(call => Call(nameof(Get), call, call.Arguments[1])));
        Mock.Setup(client => client.SaveBulkStateAsync(
                It.IsAny<string>(), It.IsAny<IReadOnlyList<SaveStateItem<It.IsAnyType>>>(), It.IsAny<CancellationToken>()))
            .Returns(new InvocationFunc(call => Call(nameof(SaveMany), call, call.Arguments[1])));
        Mock.Setup(client => client.SaveStateAsync(
                It.IsAny<string>(), It.IsAny<string>(), It.IsAny<It.IsAnyType>(), It.IsAny<StateOptions>(), It.IsAny<IReadOnlyDictionary<string, string>>(), It.IsAny<CancellationToken>()))
            .Returns(new InvocationFunc(call => Save((string)call.Arguments[1]!, call.Arguments[2]!)));
        Mock.Setup(client => client.DeleteStateAsync(
                It.IsAny<string>(), It.IsAny<string>(), It.IsAny<StateOptions>(), It.IsAny<IReadOnlyDictionary<string, string>>(), It.IsAny<CancellationToken>()))
            .Returns((string _, string key, StateOptions _, IReadOnlyDictionary<string, string> _, CancellationToken _) => Delete(key));
        Mock.Setup(client => client.DeleteBulkStateAsync(
                It.IsAny<string>(), It.IsAny<IReadOnlyList<BulkDeleteStateItem>>(), It.IsAny<CancellationToken>()))
            .Returns((string _, IReadOnlyList<BulkDeleteStateItem> items, CancellationToken _) => Task.WhenAll(items.Select(item => Delete(item.Key))));
        Mock.Setup(client => client.CheckOutboundHealthAsync(It.IsAny<CancellationToken>())).ReturnsAsync(() => !IsDown);
    }

    public Mock<DaprClient> Mock { get; } = new();

    public DaprClient Client => Mock.Object;

    public JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web);

    public int BulkReads { get; private set; }

    public IReadOnlyCollection<string> Keys => [.. _items.Keys];

    /// <summary>Every call fails as one to a sidecar that is not there.</summary>
    public bool IsDown { get; set; }

    /// <summary>Reads are answered, writes are refused, as when a disk is full.</summary>
    public bool IsReadOnly { get; set; }

    /// <summary>Awaited before each read and each save; what others do meanwhile comes between.</summary>
    public Func<Task> Latency { get; set; } = () => Task.CompletedTask;

    /// <summary>Called before each bulk save: the place where another writer, or a failure, comes between.</summary>
    public Action<IReadOnlyList<string>> BeforeSave { get; set; } = _ => { };

    /// <summary>Called before each item of a bulk save is written: what throws leaves the save half done.</summary>
    public Action<string> BeforeItem { get; set; } = _ => { };

    /// <summary>Called after each bulk save: an answer that gets lost on its way.</summary>
    public Action AfterSave { get; set; } = () => { };

    /// <summary>Called with each document that is read.</summary>
    public Action<string, string> Read { get; set; } = (_, _) => { };

    /// <summary>What is kept of a document that is written: something else than what was given.</summary>
    public Func<string, string, string> Rewrite { get; set; } = (_, json) => json;

    /// <summary>Writes as another instance would.</summary>
    public void Put<T>(string key, T value) =>
        _items[key] = (Rewrite(key, JsonSerializer.Serialize(value, Json)), Interlocked.Increment(ref _writes).ToString());

    /// <summary>The method of this class with the type argument of the call: Moq has no callback for open generics.</summary>
    private object Call(string method, IInvocation call, params object?[] arguments) => typeof(StateInMemory)
        .GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic)!
        .MakeGenericMethod(call.Method.GetGenericArguments())
        .Invoke(this, BindingFlags.DoNotWrapExceptions, null, arguments, null)!;

    private async Task<(T? Value, string ETag)> Get<T>(string key)
    {
        await Latency();
        ThrowWhenDown();
        if (!_items.TryGetValue(key, out var item))
            return (default, "");
        Read(key, item.Json);
        return (JsonSerializer.Deserialize<T>(item.Json, Json), item.ETag);
    }

    async Task<IReadOnlyDictionary<string, StateValue>> IBulkStateReads.ReadAsync(
        string stateStore, IReadOnlyCollection<string> keys, int parallelism, CancellationToken cancellationToken)
    {
        BulkReads++;
        await Latency();
        ThrowWhenDown();
        return keys.Where(_items.ContainsKey).ToDictionary(
            key => key,
            key =>
            {
                var (json, etag) = _items[key];
                Read(key, json);
                return new StateValue(Encoding.UTF8.GetBytes(json), etag);
            });
    }

    private async Task SaveMany<T>(IReadOnlyList<SaveStateItem<T>> items)
    {
        await Latency();
        ThrowWhenDown();
        BeforeSave([.. items.Select(item => item.Key)]);
        var refused = new List<string>();
        lock (_lock)
        {
            foreach (var item in items)
            {
                BeforeItem(item.Key);
                var exists = _items.TryGetValue(item.Key, out var current);
                var isRefused = item.ETag.Length > 0
                    ? !exists || current.ETag != item.ETag
                    : exists && item.StateOptions?.Concurrency == ConcurrencyMode.FirstWrite;
                if (isRefused)
                    refused.Add(item.Key);
                else
                    Put(item.Key, item.Value);
            }
        }

        AfterSave();
        if (refused.Count > 0)
            throw Failed(StatusCode.Aborted, $"possible etag mismatch: {string.Join(", ", refused)}");
    }

    private Task Save(string key, object value)
    {
        ThrowWhenDown();
        if (IsReadOnly)
            throw Failed(StatusCode.Internal, "database or disk is full");
        Put(key, value);
        return Task.CompletedTask;
    }

    private Task Delete(string key)
    {
        ThrowWhenDown();
        _items.TryRemove(key, out _);
        return Task.CompletedTask;
    }

    private void ThrowWhenDown()
    {
        if (IsDown)
            throw Failed(StatusCode.Unavailable, "connection refused");
    }

    private static DaprException Failed(StatusCode code, string text) => new(text, new RpcException(new Status(code, text)));
}
