using System.Threading.Channels;
using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>Whatever happens at one change, the next one is told.</summary>
public sealed class ResourceWatchTests : IDisposable
{
    private readonly ResourceFolder _folder = new();
    private readonly WrittenLog _log = new();
    private readonly Channel<bool> _told = Channel.CreateUnbounded<bool>();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Config => Path.Combine(_folder.Path, "config.yaml");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_file_that_is_watched_by_itself_and_in_its_folder_may_be_written_at_any_time()
    {
        await using var watch = new ResourceWatch(Told, _log);
        await File.WriteAllTextAsync(Config, "", Cancellation);
        watch.Add(_folder.Path, Config);

        for (var burst = 0; burst < 5; burst++)
        {
            for (var line = 0; line < 5000; line++)
                File.AppendAllText(Config, "#\n");
            await NextAsync();
        }

        Assert.Empty(_log.Lines);
    }

    [Fact]
    public async Task A_change_that_could_not_be_taken_is_told_with_the_reason_and_tried_again()
    {
        var fails = true;
        await using var watch = new ResourceWatch(cancellation => fails ? throw new InvalidOperationException("not now") : Told(cancellation), _log);
        watch.Add(_folder.Path);

        await File.WriteAllTextAsync(Config, "#", Cancellation);
        await _log.WaitFor("not now");
        fails = false;

        await NextAsync();
    }

    private Task<bool> Told(CancellationToken cancellation) => Task.FromResult(_told.Writer.TryWrite(true));

    private Task<bool> NextAsync() => _told.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromMinutes(2), Cancellation);
}
