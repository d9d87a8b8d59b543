using System.Text.Json;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>The actor API over HTTP (dapr pkg/api/http/actors.go): what the .NET SDK uses for everything.</summary>
internal static class ActorsHttp
{
    private const string Actor = "/v1.0/actors/{actorType}/{actorId}";

    private static readonly string[] MethodVerbs = ["GET", "POST", "DELETE", "PUT"];

    public static void MapActors(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapMethods(Actor + "/method/{name}", MethodVerbs, context => InvokeAsync(context, runtime));
        routes.MapGet(Actor + "/state/{name}", context => GetStateAsync(context, runtime));
        routes.MapMethods(Actor + "/state", Verbs.PostAndPut, context => WriteStateAsync(context, runtime));
        routes.MapMethods(Actor + "/timers/{name}", Verbs.PostAndPut, context => RegisterTimerAsync(context, runtime));
        routes.MapDelete(Actor + "/timers/{name}", context => UnregisterTimer(context, runtime));
        routes.MapMethods(Actor + "/reminders/{name}", Verbs.PostAndPut, context => RegisterReminderAsync(context, runtime));
        routes.MapGet(Actor + "/reminders/{name}", context => GetReminderAsync(context, runtime));
        routes.MapDelete(Actor + "/reminders/{name}", context => UnregisterReminderAsync(context, runtime));
    }

    private static async Task InvokeAsync(HttpContext context, SidecarRuntime runtime)
    {
        var api = new ActorApi(runtime);
        // Read before the turn is taken: a slow sender holds up nobody.
        var body = await RequestBody.ReadAsync(context);
        context.Request.Headers.TraceParent = TraceParent.Of(context);
        using var reply = await api.InvokeAsync(
            Key(context), Name(context), context.Request.QueryString.Value ?? "", body, context.Request.Headers, context.RequestAborted);
        ForwardedHeaders.CopyResponse(reply.Message, context.Response.Headers);
        context.Response.ContentType ??= "application/json";
        context.Response.ContentLength = reply.Body.Length;
        await context.Response.Body.WriteAsync(reply.Body, context.RequestAborted);
    }

    private static async Task GetStateAsync(HttpContext context, SidecarRuntime runtime)
    {
        var entry = await new ActorApi(runtime).GetStateAsync(Key(context), Name(context), context.RequestAborted);
        if (entry is null || entry.Value.IsEmpty)
        {
            ApiErrors.NoContent(context);
            return;
        }
        if (entry.ExpiresAt is { } expires)
            context.Response.Headers["metadata." + StateItems.ExpireTime] = ActorTimes.Format(expires);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = entry.Value.Length;
        await context.Response.Body.WriteAsync(entry.Value, context.RequestAborted);
    }

    private static async Task WriteStateAsync(HttpContext context, SidecarRuntime runtime)
    {
        var operations = await ReadAsync(context, ActorRequests.StateOperations);
        await new ActorApi(runtime).WriteStateAsync(Key(context), operations, context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task RegisterTimerAsync(HttpContext context, SidecarRuntime runtime)
    {
        var timer = await ReadAsync(context, body => ActorRequests.Timer(body, Key(context), Name(context)));
        new ActorApi(runtime).RegisterTimer(timer);
        ApiErrors.NoContent(context);
    }

    private static Task UnregisterTimer(HttpContext context, SidecarRuntime runtime)
    {
        new ActorApi(runtime).UnregisterTimer(Key(context), Name(context));
        ApiErrors.NoContent(context);
        return Task.CompletedTask;
    }

    private static async Task RegisterReminderAsync(HttpContext context, SidecarRuntime runtime)
    {
        var request = await ReadAsync(context, ActorRequests.Reminder);
        await new ActorApi(runtime).RegisterReminderAsync(new(Key(context), Name(context)), request, context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task GetReminderAsync(HttpContext context, SidecarRuntime runtime)
    {
        var reminder = new ActorApi(runtime).GetReminder(new(Key(context), Name(context)));
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("actorID", reminder.Key.Actor.Id);
        json.WriteString("actorType", reminder.Key.Actor.Type);
        if (reminder.Data.Length > 0)
        {
            json.WritePropertyName("data");
            json.WriteRawValue(reminder.Data, skipInputValidation: true);
        }
        if (reminder.DueTime.Length > 0)
            json.WriteString("dueTime", reminder.DueTime);
        if (reminder.Period.Length > 0)
            json.WriteString("period", reminder.Period);
        if (ActorApi.TtlToShow(reminder) is { } ttl)
            json.WriteString("ttl", ttl);
        json.WriteEndObject();
    }

    private static async Task UnregisterReminderAsync(HttpContext context, SidecarRuntime runtime)
    {
        await new ActorApi(runtime).UnregisterReminderAsync(new(Key(context), Name(context)), context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    /// <summary>Daprd reads the body first, and complains of it first.</summary>
    private static async Task<T> ReadAsync<T>(HttpContext context, Func<ReadOnlyMemory<byte>, T> read)
    {
        try
        {
            return read(await RequestBody.ReadAsync(context));
        }
        catch (JsonException e)
        {
            throw ActorErrors.Malformed(e.Message);
        }
    }

    private static ActorKey Key(HttpContext context) => new(Decoded(context, "actorType"), Decoded(context, "actorId"));

    private static string Name(HttpContext context) => Decoded(context, "name");

    /// <summary>The server leaves an escaped slash as it is.</summary>
    private static string Decoded(HttpContext context, string part) =>
        ((string)context.GetRouteValue(part)!).Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
}
