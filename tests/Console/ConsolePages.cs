using System.Security.Claims;
using Bunit;
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
using Dapr.Client;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using MudBlazor.Services;

namespace DaprOrders.Console.Tests;

/// <summary>Components as a circuit has them, with the services played behind Dapr's invocation.</summary>
public abstract class ConsolePages : BunitContext
{
    protected static readonly DateTimeOffset Now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero);

    protected ConsolePages()
    {
        SetRendererInfo(new("Server", isInteractive: true));
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddMudServices();
        Services.AddSingleton<TimeProvider>(Time);
        Services.AddOptions<ConsoleOptions>();
        foreach (var name in new[] { ServicesClient.Calls, ServicesClient.Updates })
            Services.AddHttpClient(name).AddHttpMessageHandler(() => new InvocationHandler()).ConfigurePrimaryHttpMessageHandler(() => Played);
        Services.AddSingleton<IHostEnvironment>(new Surroundings());
        Services.AddScoped<ServicesClient>().AddScoped<Visitor>().AddScoped<OrderUpdates>().AddScoped<OverviewReader>().AddScoped<StoryReader>()
            .AddScoped<LettersReader>().AddScoped<StockReader>().AddScoped<ProjectionReader>().AddScoped<TopologyReader>().AddScoped<Trying>();
        SignedInAs(null);
    }

    protected FakeServices Played { get; } = FakeServices.AtRest();

    protected FakeTimeProvider Time { get; } = new(Now);

    /// <param name="role">Null: nobody has to say who they are.</param>
    protected void SignedInAs(string? role)
    {
        Services.AddSingleton(new Authentication(role is not null, "sub"));
        Services.AddSingleton<AuthenticationStateProvider>(new SignedIn(role));
    }

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

    private sealed class Surroundings : IHostEnvironment
    {
        public string EnvironmentName { get; set; } = "Production";

        public string ApplicationName { get; set; } = "console";

        public string ContentRootPath { get; set; } = "";

        public Microsoft.Extensions.FileProviders.IFileProvider ContentRootFileProvider { get; set; } = new Microsoft.Extensions.FileProviders.NullFileProvider();
    }
}
