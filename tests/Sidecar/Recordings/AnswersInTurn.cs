using System.Collections.Concurrent;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>Each entry of a script answers in turn; its last answer is repeated.</summary>
public sealed class AnswersInTurn
{
    private readonly ConcurrentDictionary<string, int> _answered = new();

    public AppAnswer Next(string key, IReadOnlyList<AppAnswer> answers) =>
        answers[Math.Min(_answered.AddOrUpdate(key, 0, (_, last) => last + 1), answers.Count - 1)];
}
