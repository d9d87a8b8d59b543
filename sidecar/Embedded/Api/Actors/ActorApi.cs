using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Api.Jobs;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>What the HTTP and the gRPC form of the actor API have in common (dapr pkg/api/universal/actors.go).</summary>
internal readonly struct ActorApi(SidecarRuntime runtime)
{
    private SidecarActors Actors => runtime.Options.PlacementEnabled ? runtime.Actors : throw ActorErrors.NoPlacement;

    public async Task<ActorReply> InvokeAsync(
        ActorKey actor, string method, string query, ReadOnlyMemory<byte> body, IHeaderDictionary headers, CancellationToken cancellationToken)
    {
        var actors = Actors;
        Check("invalid actorType: ", actor.Type);
        Check("invalid actorId: ", actor.Id);
        try
        {
            // Dots and doubled slashes are resolved before the path is made of it: a method never leaves its actor.
            method = InvocationTarget.Normalize(method);
        }
        catch (FormatException e)
        {
            throw ActorErrors.BadRequest(e.Message);
        }

        try
        {
            return await actors.InvokeAsync(
                new ActorCall { Actor = actor, Method = method, Query = query, Body = body, Headers = headers, From = actors.Host }, cancellationToken);
        }
        catch (Exception e) when (ActorErrors.OfCall(e) is { } error)
        {
            throw error;
        }
    }

    public Task<StateEntry?> GetStateAsync(ActorKey actor, string key, CancellationToken cancellationToken)
    {
        RefuseReserved(actor);
        return Actors.State.GetAsync(actor, key, cancellationToken);
    }

    public Task WriteStateAsync(ActorKey actor, IReadOnlyList<ActorStateOperation> operations, CancellationToken cancellationToken)
    {
        RefuseReserved(actor);
        return Actors.State.TransactAsync(actor, operations, cancellationToken);
    }

    public void RegisterTimer(TimerRegistration timer)
    {
        RefuseReserved(timer.Actor);
        Check("", timer.Name);
        if (!Actors.Hosts(timer.Actor.Type) || Actors.Timers is not { } timers)
            throw ActorErrors.TimerCreate($"can't create timer for actor {timer.Actor}: actor type not registered");
        try
        {
            timers.Register(timer);
        }
        catch (FormatException e)
        {
            throw ActorErrors.TimerCreate(e.Message);
        }
    }

    public void UnregisterTimer(ActorKey actor, string name)
    {
        RefuseReserved(actor);
        Actors.Timers?.Unregister(actor, name);
    }

    public async Task RegisterReminderAsync(ReminderKey key, ActorRequests.ReminderRequest request, CancellationToken cancellationToken)
    {
        RefuseReserved(key.Actor);
        Check("", key.Name);
        var reminders = Reminders(key.Actor.Type);
        try
        {
            var schedule = ActorSchedule.OfReminder(request.DueTime, request.Period, request.Ttl, runtime.Time.GetUtcNow());
            // Others may not be names of hosts, and are kept all the same.
            if (key.Name.Length == 0)
                RefuseNameless(key.Actor);
            var reminder = new Reminder(key, request.Data, request.DueTime, request.Ttl, schedule, request.Retry);
            await reminders.CreateAsync(reminder, request.Overwrite, cancellationToken);
        }
        catch (ReminderExistsException)
        {
            throw ActorErrors.ReminderExists(key.Name);
        }
        catch (Exception e) when (e is FormatException or StateStoreException)
        {
            throw ActorErrors.ReminderCreate(e.Message);
        }
    }

    private void RefuseNameless(ActorKey actor)
    {
        try
        {
            JobsApi.CheckKey($"actorreminder||{runtime.Options.Namespace}||{actor.Type}||{actor.Id}||");
        }
        catch (FormatException e)
        {
            throw ActorErrors.ReminderCreate(JobsApi.Unknown(e.Message));
        }
    }

    /// <exception cref="ApiException">There is none.</exception>
    public Reminder GetReminder(ReminderKey key)
    {
        RefuseReserved(key.Actor);
        return Reminders(key.Actor.Type).Find(key) ?? throw ActorErrors.ReminderNotFound(key.Name);
    }

    /// <param name="type">The type of their actors.</param>
    /// <param name="actorId">Null: those of all actors of the type.</param>
    public IReadOnlyList<Reminder> ListReminders(string type, string? actorId)
    {
        RefuseReserved(new(type, ""));
        return Reminders(type).List(type, actorId);
    }

    public async Task UnregisterReminderAsync(ReminderKey key, CancellationToken cancellationToken)
    {
        RefuseReserved(key.Actor);
        try
        {
            await Reminders(key.Actor.Type).DeleteAsync(key, cancellationToken);
        }
        catch (StateStoreException e)
        {
            throw ActorErrors.ReminderDelete(e.Message);
        }
    }

    /// <summary>Daprd tells a ttl only when it was given as a point in time.</summary>
    public static string? TtlToShow(Reminder reminder) =>
        ActorTimes.TryParseRfc3339(reminder.Ttl, out var ttl) ? ActorTimes.Format(ttl) : null;

    private ActorReminders Reminders(string type) =>
        Actors.Hosts(type) && Actors.Reminders is { } reminders ? reminders : throw ActorErrors.NotHosted;

    private static void RefuseReserved(ActorKey actor)
    {
        if (actor.Type.StartsWith("dapr.internal.", StringComparison.Ordinal))
            throw ActorErrors.Reserved(actor.Type);
    }

    private static void Check(string what, string name)
    {
        if (ActorNames.Problem(name) is { } problem)
            throw ActorErrors.BadRequest(what + problem);
    }
}
