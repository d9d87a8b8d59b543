namespace EmbeddedSidecar.Actors;

/// <summary>A call of an actor: of a client, a timer or a reminder.</summary>
internal sealed class ActorCall
{
    public required ActorKey Actor { get; init; }

    /// <summary><c>{method}</c>, <c>timer/{name}</c> or <c>remind/{name}</c>.</summary>
    public required string Method { get; init; }

    /// <summary>With its question mark, or empty.</summary>
    public string Query { get; init; } = "";

    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Those of the caller; null for timers and reminders, which carry JSON and say nothing of a caller.</summary>
    public IHeaderDictionary? Headers { get; init; }

    public bool IsOfReminder => Headers is null && Method.StartsWith("remind/", StringComparison.Ordinal);

    public bool IsOfTimer => Headers is null && Method.StartsWith("timer/", StringComparison.Ordinal);

    /// <summary>What the sidecar that the call came in at hosts itself; null when it hosts nothing.</summary>
    public ActorHost? From { get; init; }

    /// <summary>True when a client called it through another sidecar than the host's.</summary>
    public bool IsRemoteFor(ActorHost host) => Headers is not null && From != host;
}

/// <summary>What an application answered with 200. Its body is in memory: the turn is over.</summary>
internal sealed class ActorReply(HttpResponseMessage message, byte[] body) : IDisposable
{
    public HttpResponseMessage Message { get; } = message;

    public byte[] Body { get; } = body;

    public void Dispose() => Message.Dispose();
}

/// <summary>How a call of an actor failed.</summary>
internal enum ActorFailure
{
    /// <summary>The application answered otherwise than 200, or not at all.</summary>
    App,

    /// <summary>The application answered 404: a retry policy does not try it again.</summary>
    NoSuchMethod,

    /// <summary>Nothing listens on the application's port, so the call had no effect.</summary>
    AppGone,

    /// <summary>No running application hosts the type.</summary>
    NoHost,
}

/// <summary>The message is dapr's text without the prefix of its API error.</summary>
internal sealed class ActorCallException(ActorFailure failure, string message, Exception? inner = null) : Exception(message, inner)
{
    public ActorFailure Failure { get; } = failure;

    /// <summary>The message as the host's own sidecar words it, when the call came through another one.</summary>
    public string? RemoteMessage { get; init; }
}
