using System.Collections.Concurrent;
using System.Security.Claims;
using Bunit;
using Dapr.Client;
using DaprOrders.Console.Calling;
using DaprOrders.Console.DeadLetters;
using DaprOrders.Console.Orders;
using DaprOrders.Console.OrderStory;
using DaprOrders.Console.Overview;
using DaprOrders.Console.ReadModels;
using DaprOrders.Console.SigningIn;
using DaprOrders.Console.Stock;
using DaprOrders.Console.Topology;
using DaprOrders.Console.TryIt;
using DaprOrders.ServiceDefaults.Access;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using MudBlazor.Services;

namespace DaprOrders.Console.Tests;

/// <summary>Components as a circuit has them, with the services played behind Dapr's invocation.</summary>
public abstract class ConsolePages : BunitContext
{
    protected static readonly DateTimeOffset Now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero);

    private string? _role;

    /// <summary>A busy machine takes longer than the second that bUnit gives it.</summary>
    static ConsolePages() => DefaultWaitTimeout = TimeSpan.FromMinutes(2);

    protected ConsolePages()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddMudServices();
        Services.AddSingleton<TimeProvider>(Time);
        Services.AddOptions<ConsoleOptions>();
        Services.AddLogging(logging => logging.AddProvider(new WarningsKept(Warnings)));
        foreach (var name in new[] { ServicesClient.Calls, ServicesClient.Acts, ServicesClient.Updates })
            Services.AddHttpClient(name, http => http.Timeout = Timeout.InfiniteTimeSpan).AddHttpMessageHandler(() => new InvocationHandler()).ConfigurePrimaryHttpMessageHandler(() => Played);
        Services.AddSingleton<IHostEnvironment>(new Surroundings());
        Services.AddScoped<ServicesClient>().AddScoped<Visitor>().AddScoped<OrderUpdates>().AddScoped<OverviewReader>().AddScoped<StoryReader>()
            .AddScoped<LettersReader>().AddScoped<StockReader>().AddScoped<ProjectionReader>().AddScoped<TopologyReader>().AddScoped<Trying>();
        Services.AddSingleton(_ => new Authentication(_role is not null, "sub"));
        Services.AddSingleton<AuthenticationStateProvider>(_ => new SignedIn(_role));
        SetRendererInfo(new("Server", isInteractive: true));
    }

    protected FakeServices Played { get; } = FakeServices.AtRest();

    /// <summary>What the console logged as one.</summary>
    protected ConcurrentQueue<string> Warnings { get; } = [];

    protected FakeTimeProvider Time { get; } = new(Now);

    /// <summary>Otherwise nobody has to say who they are.</summary>
    protected void SignedInAs(string role) => _role = role;

    protected void Play(string app, string path, string json) => Played.Answer(app, path, json);

    private sealed class SignedIn(string? role) : AuthenticationStateProvider
    {
        public override Task<AuthenticationState> GetAuthenticationStateAsync()
        {
            var identity = role is null ? new ClaimsIdentity() : new ClaimsIdentity(
                [new Claim("name", "ann"), new Claim("role", role), new Claim(Visitor.TokenClaim, $"token-of-{role}")], "test", "name", "role");
            return Task.FromResult(new AuthenticationState(new ClaimsPrincipal(identity)));
        }
    }

    private sealed class WarningsKept(ConcurrentQueue<string> warnings) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                warnings.Enqueue(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }

    private sealed class Surroundings : IHostEnvironment
    {
        public string EnvironmentName { get; set; } = "Production";

        public string ApplicationName { get; set; } = "console";

        public string ContentRootPath { get; set; } = "";

        public Microsoft.Extensions.FileProviders.IFileProvider ContentRootFileProvider { get; set; } = new Microsoft.Extensions.FileProviders.NullFileProvider();
    }
}
