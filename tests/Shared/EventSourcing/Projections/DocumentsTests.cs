using Dapr;
using Dapr.Client;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.EventSourcing.State;
using Microsoft.Extensions.Time.Testing;
using Moq;

namespace DaprOrders.EventSourcing.Tests.Projections;

public sealed class DocumentsTests
{
    private readonly StateInMemory _state = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Documents Documents => new(_state.Client, _state, "statestore");

    [Fact]
    public async Task A_document_is_created_changed_and_read()
    {
        await Documents.ChangeAsync<Tally>("a", current => new Tally((current?.Count ?? 0) + 1), Cancellation);
        await Documents.ChangeAsync<Tally>("a", current => new Tally((current?.Count ?? 0) + 1), Cancellation);

        Assert.Equal(new Tally(2), await Documents.ReadAsync<Tally>("a", Cancellation));
        Assert.Null(await Documents.ReadAsync<Tally>("b", Cancellation));
    }

    [Fact]
    public async Task Concurrent_changes_all_count()
    {
        var documents = Documents;

        await Parallel.ForAsync(0, 20, Cancellation, async (_, cancellation) =>
            await documents.ChangeAsync<Tally>("a", current => new Tally((current?.Count ?? 0) + 1), cancellation));

        Assert.Equal(new Tally(20), await documents.ReadAsync<Tally>("a", Cancellation));
    }

    [Fact]
    public async Task Only_those_that_another_writer_changed_meanwhile_are_decided_anew()
    {
        _state.Put("a", new Tally(10));
        var rival = true;
        _state.BeforeSave = _ =>
        {
            if (rival)
                _state.Put("a", new Tally(50));
            rival = false;
        };
        var decided = new List<string>();

        var changed = await Documents.ChangeAsync<Tally>(
            ["a", "b"],
            (key, current) =>
            {
                decided.Add(key);
                return current is { Count: > 50 } ? current : new Tally((current?.Count ?? 0) + 1);
            },
            Cancellation);

        Assert.Equal(new Tally(51), changed["a"]);
        Assert.Equal(new Tally(51), await Documents.ReadAsync<Tally>("a", Cancellation));
        Assert.Equal(["a", "a", "b", "b"], decided.Order());
    }

    [Fact]
    public async Task What_a_change_leaves_as_it_is_is_not_written()
    {
        _state.Put("a", new Tally(1));
        var saves = 0;
        _state.BeforeSave = _ => saves++;

        var settled = await Documents.ChangeAsync<Tally>(["a", "b"], (_, current) => current, Cancellation);

        Assert.Equal(0, saves);
        Assert.Equal(["a"], settled.Keys);
    }

    [Fact]
    public async Task A_write_that_was_done_although_it_failed_is_found_by_reading_again()
    {
        var isLost = true;
        _state.AfterSave = () =>
        {
            (var fails, isLost) = (isLost, false);
            if (fails)
                throw new DaprException("The connection was lost.");
        };

        await Documents.ChangeAsync<Tally>("a", current => current is { Count: 7 } ? current : new Tally(7), Cancellation);

        Assert.False(isLost);
        Assert.Equal(new Tally(7), await Documents.ReadAsync<Tally>("a", Cancellation));
    }

    [Fact]
    public async Task Large_documents_go_in_as_many_calls_as_a_sidecar_takes()
    {
        const int takenByASidecar = 4 * 1024 * 1024;
        // As the summary of an order of a hundred lines whose products have long names in another script than Latin.
        const int size = 130_000;
        var largest = 0;
        _state.BeforeSave = keys => largest = Math.Max(largest, keys.Count);

        await Documents.ChangeAsync<Text>([.. Enumerable.Range(0, 128).Select(i => $"order-{i}")], (_, _) => new Text(new string('x', size)), Cancellation);

        Assert.Equal(128, _state.Keys.Count);
        Assert.InRange(largest, 1, takenByASidecar / size);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("a", "b")]
    public async Task A_read_that_is_never_answered_fails_after_a_time(params string[] keys)
    {
        var time = new FakeTimeProvider();
        var dapr = new Mock<DaprClient>();
        dapr.Setup(client => client.GetStateAndETagAsync<Tally>("statestore", "a", It.IsAny<ConsistencyMode?>(), null, It.IsAny<CancellationToken>()))
            .Returns<string, string, ConsistencyMode?, IReadOnlyDictionary<string, string>, CancellationToken>((_, _, _, _, token) => NeverAsync<(Tally, string)>(token));
        var bulk = new Mock<IBulkStateReads>();
        bulk.Setup(reads => reads.ReadAsync("statestore", It.IsAny<IReadOnlyCollection<string>>(), It.IsAny<int>(), It.IsAny<CancellationToken>()))
            .Returns<string, IReadOnlyCollection<string>, int, CancellationToken>((_, _, _, token) => NeverAsync<IReadOnlyDictionary<string, StateValue>>(token));

        var reading = new Documents(dapr.Object, bulk.Object, "statestore") { Time = time }.ReadAsync<Tally>(keys, Cancellation);
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAsync<DaprException>(() => reading);
        Assert.Contains("did not answer within 10 s", failure.Message);

        static async Task<T> NeverAsync<T>(CancellationToken token)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            throw new InvalidOperationException("It waits until it is given up.");
        }
    }

    [Fact]
    public async Task A_store_that_is_away_is_the_callers_to_know()
    {
        _state.IsDown = true;

        await Assert.ThrowsAsync<DaprException>(() => Documents.ChangeAsync<Tally>("a", _ => new Tally(1), Cancellation));
    }

    private sealed record Tally(int Count);

    private sealed record Text(string Value);
}
