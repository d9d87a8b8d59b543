using Dapr.Client;
using DaprOrders.EventSourcing;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>Who may call what: docs/security.md.</summary>
internal static class Registration
{
    /// <param name="connect">A client of the sidecar, before there are services.</param>
    public static void AddAccess(this WebApplicationBuilder builder, Func<DaprClient> connect)
    {
        // Waits: the settings have to be complete before anything is made from them.
        SigningKeySecret.AddToAsync(builder.Configuration, connect, TimeProvider.System).GetAwaiter().GetResult();
        builder.Services.TryAddSingleton(provider => EventSigning.From(provider.GetRequiredService<IConfiguration>()));
        Authentication.From(builder.Configuration).AddTo(builder);
        builder.Services.AddSingleton<IAuthorizationHandler, CallerHandler>();
        builder.Services.AddSingleton<IAuthorizationMiddlewareResultHandler, RefusalsAsProblems>();
        builder.Services.AddHostedService<AccessWarnings>();
    }

    public static void UseAccess(this WebApplication app)
    {
        app.UseSidecarRoutes(app.Services.GetRequiredService<DaprSettings>().AppId);
        if (app.Services.GetRequiredService<Authentication>().IsOn)
            app.UseAuthentication();
        app.UseAuthorization();
    }
}
