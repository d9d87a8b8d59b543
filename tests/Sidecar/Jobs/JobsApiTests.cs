using System.Net;
using System.Net.Http.Json;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;

namespace DaprOrders.Sidecar.Tests.Jobs;

/// <summary>The jobs API where the recordings of daprd are silent.</summary>
public sealed class JobsApiTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Jobs_are_listed_and_deleted_by_the_beginning_of_their_names()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"), Sidecars.App("two"));
        using var channel = Sidecars.Grpc(dapr["one"]);
        using var channelOfTwo = Sidecars.Grpc(dapr["two"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        var two = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channelOfTwo);
        foreach (var name in new[] { "mail-1", "mail-2", "report" })
            await client.ScheduleJobAsync(new() { Job = new() { Name = name, DueTime = "1h" } }, cancellationToken: Cancellation);
        await two.ScheduleJobAsync(new() { Job = new() { Name = "mail-3", DueTime = "1h" } }, cancellationToken: Cancellation);

        await client.DeleteJobsByPrefixAsync(new() { NamePrefix = "mail" }, cancellationToken: Cancellation);

        Assert.Equal(["report"], await NamesAsync(client));
        Assert.Equal(["mail-3"], await NamesAsync(two));
    }

    [Theory]
    [InlineData("a%23b")]
    [InlineData("-.-")]
    [InlineData("caf%C3%A9")]
    public async Task A_name_that_no_host_could_have_is_refused(string name)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsJsonAsync(new Uri($"/v1.0/jobs/{name}", UriKind.Relative), new { dueTime = "1h" }, Cancellation);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains("job name is invalid", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    /// <summary>pkg/api/universal/jobs.go: one bar is enough.</summary>
    [Theory]
    [InlineData("a%7Cb")]
    [InlineData("a%7C%7Cb")]
    public async Task A_name_with_a_bar_counts_as_none(string name)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsJsonAsync(new Uri($"/v1.0/jobs/{name}", UriKind.Relative), new { dueTime = "1h" }, Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("Name is empty", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"dueTime": "1h", "repeats": 1.5}""", "invalid value for uint32 field repeats: 1.5")]
    [InlineData("{\"dueTime\": \"1h\",\n \"overwrite\": \"yes\"}", "(line 2:15): invalid value for bool field overwrite: \\\"yes\\\"")]
    [InlineData("[]", "syntax error (line 1:1): unexpected token [")]
    [InlineData("""{"dueTime": "1h", "failurePolicy": {"constant": {"interval": "500ms"}}}""", "failed deserializing HTTP body")]
    [InlineData("""{"dueTime": "1h", "data": {"n": 1e999}}""", "failed deserializing HTTP body")]
    public async Task A_body_that_makes_no_sense_is_refused_with_the_place(string body, string reason)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsync(new Uri("/v1.0/jobs/x", UriKind.Relative), new StringContent(body), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_that_is_due_while_there_is_no_application_waits_for_it_also_over_a_restart()
    {
        using var folder = new TemporaryFolder();
        var options = new EmbeddedDaprOptions { Apps = [Sidecars.App("one")], JobsFile = folder.File("jobs.db") };
        await using (var dapr = await EmbeddedDapr.StartAsync(options, Cancellation))
        {
            using var http = Sidecars.Http(dapr["one"]);
            using var scheduled = await http.PostAsJsonAsync(new Uri("/v1.0/jobs/due", UriKind.Relative), new { dueTime = "0s", data = "x" }, Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, scheduled.StatusCode);
        }

        await using var app = await TestApp.StartAsync();
        await using var again = await EmbeddedDapr.StartAsync(options with { Apps = [Sidecars.App("one") with { AppPort = app.Port }] }, Cancellation);

        Assert.Equal("GET /dapr/config", await app.NextCallAsync());
        Assert.Equal("POST /job/due", await app.NextCallAsync());
    }

    private static async Task<IEnumerable<string>> NamesAsync(Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient client) =>
        (await client.ListJobsAsync(new(), cancellationToken: Cancellation)).Jobs.Select(job => job.Name);
}
