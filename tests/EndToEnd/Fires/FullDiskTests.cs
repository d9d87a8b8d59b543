using System.Diagnostics;
using System.Net;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Fires;

[Collection(OneAtATime.Name)]
public sealed class FullDiskTests
{
    private static readonly TimeSpan Before = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Full = TimeSpan.FromSeconds(20);

    /// <summary>A small disk of its own, which a user may mount where the system has user namespaces.</summary>
    private const string Mount = "mount -t tmpfs -o size=64m none \"$0\" && exec dotnet \"$@\"";

    private static string? Missing => !OperatingSystem.IsLinux() ? "a disk of a given size is mounted for the test, which is done here on Linux only" : CannotMount();

    [Fact(Explicit = true)]
    public async Task Given_the_disk_is_full_then_orders_are_refused_with_the_reason_and_all_goes_on_once_there_is_space()
    {
        ServerProgram.Require(Missing);
        var installation = new Installation();
        Directory.CreateDirectory(installation.DataFolder);
        await using var fire = await Fire.StartAsync(new OrdersSystem(installation)
        {
            Launcher = arguments => new ProcessStartInfo("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", Mount, installation.DataFolder, .. arguments]),
        });

        await fire.UnderLoadAsync(async () =>
        {
            await Fire.LastAsync(Before);
            // The disk as the launcher sees it.
            var ballast = $"/proc/{fire.System.LauncherId}/root{installation.DataFolder}/ballast";
            Fill(ballast);
            fire.Faults++;
            try
            {
                var refusal = await RefusalAsync(fire.Shop);
                Assert.Equal("application/problem+json", refusal.Content.Headers.ContentType?.MediaType);
                // The ledger's last page of the disk has room for some lines; the provider, too, is to meet the end of it, and to get over it.
                await Until.Async(fire.Shop.DeclinedChargeAsync, status => status == HttpStatusCode.ServiceUnavailable, "a charge to be refused on a full disk");
                await Fire.LastAsync(Full);
            }
            finally
            {
                File.Delete(ballast);
            }

            await Fire.LastAsync(Before);
        });

        Assert.True(fire.Load.SentAgain > 0, "nobody was refused");
        await fire.AuditAsync();
    }

    private static async Task<HttpResponseMessage> RefusalAsync(Shop shop)
    {
        var sku = (await shop.GetAsync("inventory", "products?limit=1"))["products"]![0]!["sku"]!.GetValue<string>();
        // A key for each: an order for which there was just room would be answered from then on without a write.
        var refusal = await Until.Async(
            () => shop.PlaceAsync(sku, 1, headers: ("Idempotency-Key", Guid.NewGuid().ToString())), answer => !answer.IsSuccessStatusCode, "an order to be refused on a full disk");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refusal.StatusCode);
        return refusal;
    }

    private static void Fill(string path)
    {
        var block = new byte[4096];
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        try
        {
            while (true)
                file.Write(block);
        }
        catch (IOException)
        {
            // Full.
        }
    }

    private static string? CannotMount()
    {
        try
        {
            using var trial = Process.Start(new ProcessStartInfo(
                "unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /tmp"])
            { RedirectStandardError = true })!;
            var error = trial.StandardError.ReadToEnd();
            trial.WaitForExit();
            return trial.ExitCode == 0 ? null : $"a small disk cannot be mounted here: {error.Trim()}";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return $"a small disk cannot be mounted here, unshare (util-linux) is missing: {e.Message}";
        }
    }
}
