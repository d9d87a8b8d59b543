using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace DaprOrders.Console.Calling;

/// <summary>Why a service did not give what was asked of it, in words for people.</summary>
/// <param name="Status">Null when it did not answer at all.</param>
/// <param name="MayHappen">It was told to do something, and does perhaps.</param>
public sealed record Failure(string Service, HttpStatusCode? Status, string Reason, bool MayHappen = false)
{
    public static Failure NoAnswerYet(string service) => new(service, null, "no answer yet, it may still happen", MayHappen: true);

    public bool IsMissing => Status == HttpStatusCode.NotFound;

    public bool IsRefused => Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;

    public override string ToString() => Status switch
    {
        null when MayHappen => $"{Service}: {Reason}",
        null => $"{Service} cannot be reached: {Reason}",
        HttpStatusCode.Unauthorized => $"{Service} does not take this sign-in: {Reason}",
        HttpStatusCode.Forbidden => $"{Service} does not allow it: {Reason}",
        { } status => $"{Service} answered {(int)status}: {Reason}",
    };
}

/// <summary>What a service answered: a value, or why there is none. Pages show either; neither is an error of the console.</summary>
public readonly record struct Answer<T>(T? Value, Failure? Failure)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Value))]
    [MemberNotNullWhen(false, nameof(Failure))]
    public bool IsHere => Failure is null;
}
