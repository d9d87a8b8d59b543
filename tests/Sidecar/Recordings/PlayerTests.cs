using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>A player that plays nothing, or hears nothing, would find everything alike.</summary>
public sealed class PlayerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_altered_recording_is_told_by_step_with_what_was_recorded_and_what_came()
    {
        var altered = Recording.Load("in-memory/state-etag");
        altered.Steps[4]["got"]!["status"] = 204;

        var difference = Assert.Single(await Player.PlayAsync(altered, Cancel));

        Assert.Equal(new Difference(5, "status", "204", "409"), difference);
    }

    [Fact]
    public async Task A_call_that_the_app_did_not_get_is_told()
    {
        var altered = Recording.Load("any/invoke-basics");
        altered.Steps[1]["got"]!["calls"]![0]!["call"] = "GET /hello?a=2";

        var differences = await Player.PlayAsync(altered, Cancel);

        Assert.Equal([2, 2], differences.Select(difference => difference.Step));
    }

    [Fact]
    public async Task An_app_answers_by_its_script_in_turn_and_its_calls_are_written_down()
    {
        var script = AppScript.From(JsonNode.Parse("""
            {"id": "one", "serve": {
                "GET /turns/*": [{"status": 503}, {"jsonText": "{\"a\": 1}"}],
                "GET /turns/own": [{"text": "own"}],
                "POST /bulk": [{"bulk": {"*": "SUCCESS", "n1": "RETRY", "n2": "-"}}]}}
            """)!.AsObject());
        var calls = new AppCalls();
        var port = FreePort.Next();
        var form = new RecordedForm("/nowhere", new Dictionary<string, int> { ["one"] = port }, TimeProvider.System);
        await using var app = new RecordingApp(script, port, calls, form);
        await app.StartAsync(Cancel);
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("/turns/1", Cancel)).StatusCode);
        Assert.Equal("""{"a": 1}""", await client.GetStringAsync("/turns/2", Cancel));
        Assert.Equal("""{"a": 1}""", await client.GetStringAsync("/turns/3", Cancel));
        Assert.Equal("own", await client.GetStringAsync("/turns/own", Cancel));
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("/unknown", Cancel)).StatusCode);
        using var entries = new StringContent(
            """
            {"entries":[
                {"entryId":"a","event":{"data":{"name":"n0"}}},{"entryId":"b","event":{"data":{"name":"n1"}}},{"entryId":"c","event":{"data":{"name":"n2"}}}]}
            """,
            Encoding.UTF8, "application/json");
        var bulk = await client.PostAsync("/bulk", entries, Cancel);
        Assert.Equal(
            """{"statuses":[{"entryId":"a","status":"SUCCESS"},{"entryId":"b","status":"RETRY"}]}""", await bulk.Content.ReadAsStringAsync(Cancel));
        var taken = await calls.TakeAsync(6, TimeSpan.FromSeconds(5), TimeSpan.Zero, Cancel);
        Assert.Equal(
            ["GET /turns/1 503", "GET /turns/2 200", "GET /turns/3 200", "GET /turns/own 200", "GET /unknown 404", "POST /bulk 200"],
            taken.Select(call => $"{call!["call"]} {call["answered"]}"));
    }
}
