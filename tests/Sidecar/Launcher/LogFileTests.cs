using System.Text;
using DaprOrders.Sidecar.Launcher;

namespace DaprOrders.Sidecar.Tests.Launcher;

public sealed class LogFileTests
{
    [Fact]
    public void A_full_disk_loses_lines_and_tells_how_many_once_there_is_space()
    {
        using var disk = new Disk();
        using var log = new LogFile("app.log", disk);

        log.WriteLine("before");
        disk.IsFull = true;
        log.WriteLine("lost");
        log.WriteLine("lost, too");
        disk.IsFull = false;
        log.WriteLine("after");
        log.WriteLine("and on");

        Assert.Equal(
            ["before", "(2 lines could not be written here)", "after", "and on", ""],
            Encoding.UTF8.GetString(disk.ToArray()).Split(Environment.NewLine));
    }

    [Fact]
    public void What_is_said_after_the_end_hurts_nobody()
    {
        using var disk = new Disk();
        var log = new LogFile("app.log", disk);
        log.Dispose();

        log.WriteLine("too late");

        Assert.Empty(disk.ToArray());
    }

    private sealed class Disk : MemoryStream
    {
        public bool IsFull { get; set; }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (IsFull)
                throw new IOException("No space left on device");
            base.Write(buffer);
        }
    }
}
