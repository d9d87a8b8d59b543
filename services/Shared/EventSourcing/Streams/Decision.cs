namespace DaprOrders.EventSourcing;

/// <summary>Why a command was refused: a stable code (<c>order-shipped</c>) and a sentence for people.</summary>
public sealed record Refusal(string Code, string Reason);

/// <summary>What a decider answers: events (none is the idempotent answer: it is already so), or a refusal.</summary>
public readonly record struct Decision<TEvent>(IReadOnlyList<TEvent> Events, Refusal? Refusal)
{
    public static Decision<TEvent> Nothing { get; } = new([], null);

    public static Decision<TEvent> Of(params TEvent[] events) => new(events, null);

    public static Decision<TEvent> Refuse(string code, string reason) => new([], new Refusal(code, reason));

    public static implicit operator Decision<TEvent>(TEvent happened) => Of(happened);
}
