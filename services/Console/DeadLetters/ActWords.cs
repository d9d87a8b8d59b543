using DaprOrders.Console.Calling;
using DaprOrders.Console.Shell;

namespace DaprOrders.Console.DeadLetters;

/// <summary>What operators did, in words.</summary>
public static class ActWords
{
    public static string What(Act act) => act.Kind switch
    {
        "redriveOfMany" => act.Letters is { } letters ? $"redrive of {Words.Count(letters, "message")}" : "redrive of all",
        "editedRedrive" => "edit and redrive",
        _ => act.Kind,
    };

    public static string Result(Act act) => act.Result switch
    {
        "begun" => "under way, or broken off",
        "givenUp" => "given up",
        "passedOver" => "passed over: its place in its stream had been passed before",
        "withoutEffect" => "handled, with nothing to do any more",
        "failed" => $"failed: {act.Error}",
        "done" => $"{act.Done:N0} handled{(act.Failed > 0 ? FormattableString.Invariant($", {act.Failed:N0} failed again, the last: {act.Error}") : "")}",
        var result => result,
    };
}
