using System.Text;
using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>What came is written down as the recordings have it.</summary>
public sealed class RecordedFormTests
{
    private readonly RecordedForm _form = new("/some/folder", new Dictionary<string, int> { ["one"] = 40001, ["two"] = 0 }, TimeProvider.System);

    [Fact]
    public void What_differs_from_run_to_run_has_a_name()
    {
        Assert.Equal("{uuid} at {time}", _form.Text($"{Guid.NewGuid()} at {DateTimeOffset.UtcNow:yyyy-MM-ddTHH:mm:ssZ}"));
        Assert.Equal("{traceparent}", _form.Text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        Assert.Equal("http://127.0.0.1:{appPort:one}/x in {dir}/y", _form.Text("http://127.0.0.1:40001/x in /some/folder/y"));
        Assert.Equal("""{"port":"{appPort:one}","n":4}""", _form.Json(JsonNode.Parse("""{"port":40001,"n":4}"""))!.ToJsonString());
    }

    [Fact]
    public void A_time_that_the_publisher_wrote_stays() =>
        Assert.Equal("2026-01-02T03:04:05.678Z", _form.Text("2026-01-02T03:04:05.678Z"));

    [Theory]
    [InlineData("", null)]
    [InlineData("null", "\"@json null\"")]
    [InlineData("\"text\"", """{"jsonString":"text"}""")]
    [InlineData("text", "\"text\"")]
    [InlineData("[1.10]", "[1.10]")]
    public void Bodies_are_json_where_they_are(string body, string? recorded) =>
        Assert.Equal(recorded, _form.Body(Encoding.UTF8.GetBytes(body))?.ToJsonString());

    [Fact]
    public void Bodies_that_are_no_text_are_base64() =>
        Assert.Equal("AAEC/w==", (string)_form.Body([0, 1, 2, 255])!["base64"]!);

    [Fact]
    public void Raw_data_is_shown_decoded_when_it_is_an_object()
    {
        var data = Convert.ToBase64String(Encoding.UTF8.GetBytes("""{"id":"0af76519-16cd-43dd-8448-eb211c80319c"}"""));

        Assert.Equal("""@base64 of {"id":"{uuid}"}""", (string)_form.Json(new JsonObject { ["data_base64"] = data })!["data_base64"]!);
        Assert.Equal("Ynl0ZXM=", (string)_form.Json(new JsonObject { ["data_base64"] = "Ynl0ZXM=" })!["data_base64"]!);
    }

    [Fact]
    public void Headers_of_the_transport_are_left_out_and_names_are_written_as_go_does()
    {
        var headers = _form.Headers([new("dapr-api-token", ["in"]), new("content-length", ["2"])]);

        Assert.Equal("""{"Dapr-Api-Token":"in"}""", headers.ToJsonString());
    }
}
