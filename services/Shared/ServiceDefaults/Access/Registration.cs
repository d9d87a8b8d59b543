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
    public static void AddAccess(this WebApplicationBuilder builder)
    {
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
