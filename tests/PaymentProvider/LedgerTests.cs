using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace DaprOrders.PaymentProvider.Tests;

public sealed class LedgerTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".journal");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public async Task The_ledger_is_read_page_by_page()
    {
        using var provider = new ProviderHost();
        for (var charge = 0; charge < 7; charge++)
        {
            await provider.ChargeAsync(ProviderHost.Charge(charge % 2 == 0 ? PaymentMethods.Ok : PaymentMethods.Declined, reference: $"order-{charge}"));
        }

        var references = new List<string>();
        var after = 0L;
        for (var page = await provider.LedgerAsync("?limit=3"); page.Entries.Count > 0; page = await provider.LedgerAsync($"?limit=3&after={after}"))
        {
            Assert.InRange(page.Entries.Count, 1, 3);
            references.AddRange(page.Entries.Select(entry => entry.Reference));
            after = page.Next;
        }

        Assert.Equal(["order-0", "order-2", "order-4", "order-6"], references);
    }

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=1001")]
    [InlineData("?after=-1")]
    [InlineData("?after=x")]
    public async Task A_bad_page_is_refused(string query)
    {
        using var provider = new ProviderHost();
        var answer = await provider.Client.GetAsync($"/ledger{query}", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("invalid-request", await answer.CodeAsync());
    }

    [Fact]
    public async Task What_was_recorded_is_there_after_a_restart()
    {
        Recorded charge;
        using (var ledger = Ledger.Open(_path, TimeProvider.System))
        {
            charge = await RecordAsync(ledger, "k1");
            await ledger.RecordRefundAsync(charge.Entry!, null, "r1");
        }

        using var reopened = Ledger.Open(_path, TimeProvider.System);
        var again = await RecordAsync(reopened, "k1");
        Assert.Equal((charge.Entry, true, false), (again.Entry, again.Replayed, again.Reused));
        Assert.Equal(19m, reopened.FindCharge(charge.Entry!.Id)!.Value.Refunded);
        Assert.Null((await reopened.RecordRefundAsync(charge.Entry!, null, "r2")).Entry);
        Assert.Equal(2, reopened.Read(0).Count());
    }

    [Fact]
    public async Task A_line_that_a_crash_cut_off_is_dropped_and_written_over()
    {
        using (var ledger = Ledger.Open(_path, TimeProvider.System))
        {
            await RecordAsync(ledger, "k1");
        }

        await File.AppendAllTextAsync(_path, """{"id":"ch_00""", TestContext.Current.CancellationToken);
        using (var ledger = Ledger.Open(_path, TimeProvider.System))
        {
            Assert.False((await RecordAsync(ledger, "k2")).Replayed);
        }

        using var reopened = Ledger.Open(_path, TimeProvider.System);
        Assert.Equal(["k1", "k2"], reopened.Read(0).Select(line => line.Entry.IdempotencyKey));
    }

    [Fact]
    public async Task A_line_that_is_no_entry_stops_the_start_and_changes_nothing()
    {
        await File.WriteAllTextAsync(_path, "{\"id\":1}\n", Encoding.UTF8, TestContext.Current.CancellationToken);
        var before = await File.ReadAllBytesAsync(_path, TestContext.Current.CancellationToken);

        var refused = Assert.Throws<InvalidDataException>(() => Ledger.Open(_path, TimeProvider.System));

        Assert.Contains(_path, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllBytesAsync(_path, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_thousand_charges_at_once_are_all_recorded_once()
    {
        using var ledger = Ledger.Open(_path, TimeProvider.System);
        var recorded = await Task.WhenAll(Enumerable.Range(0, 1000).Select(number => Task.Run(() => RecordAsync(ledger, $"k{number % 500}"))));

        Assert.Equal(500, ledger.Read(0).Count());
        Assert.Equal(500, recorded.Count(record => record.Replayed));
        Assert.All(ledger.Read(0), line => Assert.Equal(line.Entry, ledger.FindCharge(line.Entry.Id)!.Value.Charge));
    }

    [Fact]
    public async Task Nothing_that_was_answered_is_lost_when_the_process_is_killed()
    {
        var answered = new List<string>();
        using var client = new HttpClient();
        for (var life = 0; life < 2; life++)
        {
            var (provider, address) = await StartProcessAsync(client);
            using (provider)
            {
                for (var number = 0; number < 20; number++)
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, $"{address}/charges") { Content = JsonContent.Create(ProviderHost.Charge(PaymentMethods.Ok, reference: $"order-{life}-{number}")) };
                    request.Headers.Add("Idempotency-Key", $"k-{life}-{number}");
                    (await client.SendAsync(request, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
                    answered.Add($"order-{life}-{number}");
                }

                provider.Kill(entireProcessTree: true);
                await provider.WaitForExitAsync(TestContext.Current.CancellationToken);
            }
        }

        using var ledger = Ledger.Open(_path, TimeProvider.System);
        Assert.Equal(answered, ledger.Read(0).Select(line => line.Entry.Reference));
    }

    [Fact]
    public async Task Given_a_full_disk_then_charges_are_refused_and_go_on_by_themselves_once_there_is_space()
    {
        var full = false;
        var fits = 0;
        void Write(SafeFileHandle file, IReadOnlyList<ReadOnlyMemory<byte>> lines, long offset)
        {
            if (full)
            {
                // As a disk does that becomes full half-way.
                RandomAccess.Write(file, lines[0].Span[..(lines[0].Length * fits / 2)], offset);
                throw new IOException("No space left on device");
            }

            RandomAccess.Write(file, lines, offset);
        }

        using (var ledger = Ledger.Open(_path, TimeProvider.System, Write))
        {
            var before = await RecordAsync(ledger, "before");
            full = true;
            await Assert.ThrowsAsync<JournalFaultException>(() => RecordAsync(ledger, "promised"));
            for (var again = 0; again < 3; again++)
            {
                fits = again;
                await Assert.ThrowsAsync<JournalFaultException>(() => RecordAsync(ledger, "promised"));
                await Assert.ThrowsAsync<JournalFaultException>(() => RecordAsync(ledger, $"refused-{again}"));
                var known = await RecordAsync(ledger, "before");
                Assert.Equal((before.Entry, true), (known.Entry, known.Replayed));
            }

            full = false;
            // The last write that began before may still be failing; whoever asks meanwhile hears of it, once.
            await Record.ExceptionAsync(() => RecordAsync(ledger, "promised"));
            Assert.True((await RecordAsync(ledger, "promised")).Replayed);
            Assert.False((await RecordAsync(ledger, "refused-1")).Replayed);
            Assert.Equal(["before", "promised", "refused-1"], ledger.Read(0).Select(line => line.Entry.IdempotencyKey));
        }

        using var reopened = Ledger.Open(_path, TimeProvider.System);
        Assert.Equal(["before", "promised", "refused-1"], reopened.Read(0).Select(line => line.Entry.IdempotencyKey));
    }

    private static Task<Recorded> RecordAsync(Ledger ledger, string key) =>
        ledger.RecordChargeAsync(new ChargeRequest(19m, "EUR", PaymentMethods.Ok, "order-1"), EntryKind.Charge, key);

    private async Task<(Process Process, string Address)> StartProcessAsync(HttpClient client)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(Ledger).Assembly.Location])
        {
            RedirectStandardOutput = true,
            Environment = { ["APP_PORT"] = $"{port}", ["PaymentProvider__JournalPath"] = _path },
        })!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        var address = $"http://localhost:{port}";
        await Answers.UntilAsync(async () =>
        {
            try
            {
                return (await client.GetAsync($"{address}/healthz/ready", TestContext.Current.CancellationToken)).IsSuccessStatusCode;
            }
            catch (HttpRequestException) when (!process.HasExited)
            {
                return false;
            }
        });
        return (process, address);
    }
}
