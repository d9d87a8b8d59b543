using Microsoft.AspNetCore.Diagnostics;

namespace DaprOrders.Console.Shell;

internal static class ContentSecurity
{
    /// <summary>
    /// Nothing from elsewhere, and no script in a page. Styles in a page must be allowed: MudBlazor writes its theme and sizes as such.
    /// </summary>
    private const string Policy =
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; object-src 'none'; "
        + "base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    public static void UseContentSecurity(this WebApplication app) => app.Use((context, next) =>
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        return next(context);
    });

    /// <summary>A form that is refused is answered by its status alone: there is no other page to be made of it.</summary>
    public static void UseAnswersToForms(this WebApplication app) => app.Use((context, next) =>
    {
        context.Features.Get<IStatusCodePagesFeature>()!.Enabled = HttpMethods.IsGet(context.Request.Method);
        return next(context);
    });
}
