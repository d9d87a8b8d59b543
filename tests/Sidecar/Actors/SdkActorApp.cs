using System.Collections.Concurrent;
using System.Runtime.Serialization;
using Dapr.Actors;
using Dapr.Actors.Client;
using Dapr.Actors.Runtime;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Actors;

[DataContract]
public sealed record Reading([property: DataMember] int Total, [property: DataMember] string? Note);

public interface ICounterActor : IActor
{
    Task<int> Add(int amount);

    Task<Reading> Read();

    Task Fail(string reason);

    Task<int> AddThroughProxy(int amount);

    Task StartTimer(int periodMs);

    Task StopTimer();

    Task Remind(int dueMs, int periodMs);

    Task<string> FindReminder();

    Task Forget();
}

/// <summary>What the actors of a test did, as the test sees it.</summary>
public sealed class Journal
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _waits = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    public void Note(string what)
    {
        var count = _counts.AddOrUpdate(what, 1, (_, before) => before + 1);
        Wait(what, count).TrySetResult();
    }

    public int Count(string what) => _counts.GetValueOrDefault(what);

    public Task Seen(string what, int times = 1)
    {
        var wait = Wait(what, times);
        if (Count(what) >= times)
            wait.TrySetResult();
        return wait.Task.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
    }

    private TaskCompletionSource Wait(string what, int times) =>
        _waits.GetOrAdd($"{what}#{times}", _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
}

public sealed class CounterActor(ActorHost host, Journal journal) : Actor(host), ICounterActor, IRemindable
{
    public async Task<int> Add(int amount)
    {
        // Not atomic on purpose: only the turn keeps two calls from reading the same total.
        var total = await StateManager.TryGetStateAsync<int>("total");
        await Task.Yield();
        await StateManager.SetStateAsync("total", total.Value + amount);
        return total.Value + amount;
    }

    public async Task<Reading> Read() =>
        new((await StateManager.TryGetStateAsync<int>("total")).Value, (await StateManager.TryGetStateAsync<string>("note")).Value);

    public Task Fail(string reason) => throw new InvalidOperationException(reason);

    public Task<int> AddThroughProxy(int amount) => ProxyFactory.CreateActorProxy<ICounterActor>(Id, Host.ActorTypeInfo.ActorTypeName).Add(amount);

    public Task StartTimer(int periodMs) => RegisterTimerAsync(
        "tick", nameof(OnTick), "hello"u8.ToArray(), TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(periodMs));

    public Task StopTimer() => UnregisterTimerAsync("tick");

    public Task OnTick(byte[] data)
    {
        journal.Note($"{Id} tick {System.Text.Encoding.UTF8.GetString(data)}");
        return Task.CompletedTask;
    }

    public Task Remind(int dueMs, int periodMs) => RegisterReminderAsync(
        "wake",
        "up"u8.ToArray(),
        TimeSpan.FromMilliseconds(dueMs),
        periodMs == 0 ? TimeSpan.FromMilliseconds(-1) : TimeSpan.FromMilliseconds(periodMs));

    public async Task<string> FindReminder()
    {
        var reminder = await GetReminderAsync("wake");
        return $"{reminder.Name} {System.Text.Encoding.UTF8.GetString(reminder.State)} {reminder.DueTime} {reminder.Period}";
    }

    public Task Forget() => UnregisterReminderAsync("wake");

    public async Task ReceiveReminderAsync(string reminderName, byte[] state, TimeSpan dueTime, TimeSpan period)
    {
        journal.Note($"{Id} {reminderName} {System.Text.Encoding.UTF8.GetString(state)}");
        await StateManager.SetStateAsync("note", "reminded");
    }

    protected override Task OnActivateAsync()
    {
        journal.Note($"{Id} activated");
        return Task.CompletedTask;
    }

    protected override Task OnDeactivateAsync()
    {
        journal.Note($"{Id} deactivated");
        return Task.CompletedTask;
    }
}

/// <summary>An ASP.NET application with the unchanged Dapr SDK, and its sidecar, in this process.</summary>
internal sealed class SdkActorApp : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly SidecarOptions _options;

    private SdkActorApp(WebApplication app, SidecarOptions options, EmbeddedDapr dapr, Journal journal)
    {
        _app = app;
        _options = options;
        Dapr = dapr;
        Journal = journal;
    }

    public EmbeddedDapr Dapr { get; }

    public Journal Journal { get; }

    public static async Task<SdkActorApp> StartAsync(
        Action<ActorRuntimeOptions>? configure = null, string appId = "counting", params ComponentResource[] components)
    {
        var journal = new Journal();
        // The SDK must know its sidecar's port before the sidecar, which must know the application's, starts.
        var sidecarPort = FreePort.Next();
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel().UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(journal);
        builder.Services.AddActors(options =>
        {
            options.HttpEndpoint = $"http://127.0.0.1:{sidecarPort}";
            options.Actors.RegisterActor<CounterActor>();
            configure?.Invoke(options);
        });
        var app = builder.Build();
        app.MapActorsHandlers();
        await app.StartAsync(TestContext.Current.CancellationToken);

        var store = Sidecars.Component("store", "state.in-memory", ("actorStateStore", "true"));
        var options = Sidecars.App(appId, components.Length > 0 ? components : [store]) with
        {
            AppPort = new Uri(app.Urls.Single()).Port,
            HttpPort = sidecarPort,
        };
        var dapr = await Sidecars.StartAsync(options);
        await dapr.Ready;
        return new(app, options, dapr, journal);
    }

    public ICounterActor Counter(string id, bool json = false) => ActorProxy.Create<ICounterActor>(new ActorId(id), "CounterActor", ProxyOptions(json));

    public ActorProxy Weak(string id) => ActorProxy.Create(new ActorId(id), "CounterActor", ProxyOptions(json: false));

    /// <summary>Ends the sidecar and starts it again; the application stays.</summary>
    public async Task RestartSidecarAsync()
    {
        await Dapr.RemoveAsync(Dapr.Sidecars.Single(), TestContext.Current.CancellationToken);
        await Dapr.AddAsync(_options, TestContext.Current.CancellationToken);
        await Dapr.Ready;
    }

    public async ValueTask DisposeAsync()
    {
        await Dapr.DisposeAsync();
        await _app.DisposeAsync();
    }

    private ActorProxyOptions ProxyOptions(bool json) =>
        new() { HttpEndpoint = $"http://127.0.0.1:{_options.HttpPort}", UseJsonSerialization = json };
}
