using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;

namespace DaprOrders.Sidecar.Tests.Locks;

/// <summary>What is said of bodies that are no message: the words of Go's protojson (google.golang.org/protobuf, internal/encoding/json/decode.go).</summary>
public sealed class LockBodiesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("x", "syntax error (line 1:1): invalid value x")]
    [InlineData("not-so.simple_1 x", "syntax error (line 1:1): invalid value not-so.simple_1")]
    [InlineData("[]", "syntax error (line 1:1): unexpected token [")]
    [InlineData("null", "syntax error (line 1:1): unexpected token null")]
    [InlineData(" \n \"x\"", "syntax error (line 2:2): unexpected token \"x\"")]
    [InlineData("1", "syntax error (line 1:1): unexpected token 1")]
    [InlineData("{", "unexpected EOF")]
    [InlineData("{\"resourceId\":", "unexpected EOF")]
    [InlineData("{\"resourceId\"", "unexpected EOF")]
    [InlineData("{\"resourceId\":\"a", "unexpected EOF")]
    [InlineData("{\"resourceId\" 1}", "syntax error (line 1:15): unexpected character 1, missing \":\" after field name")]
    [InlineData("{'a':1}", "syntax error (line 1:2): invalid value '")]
    [InlineData("{a:1}", "syntax error (line 1:2): invalid value a")]
    [InlineData("{1:1}", "syntax error (line 1:2): unexpected token 1")]
    [InlineData("{\"resourceId\":nul}", "syntax error (line 1:15): invalid value nul")]
    [InlineData("{\"resourceId\":\"a\",}", "syntax error (line 1:19): unexpected token }")]
    [InlineData("{\"resourceId\":\"a\" \"b\":1}", "syntax error (line 1:19): unexpected token \"b\"")]
    [InlineData("{\"expiryInSeconds\":01}", "syntax error (line 1:20): invalid value 01")]
    [InlineData("{\"é\":1,\n\"unknown\":[1,}", "syntax error (line 2:14): unexpected token }")]
    [InlineData("{\"expiryInSeconds\":1.5, x}", "(line 1:20): invalid value for int32 field expiryInSeconds: 1.5")]
    [InlineData("{\"lock_owner\":{}}", "(line 1:15): invalid value for string field lockOwner: {")]
    [InlineData("{\"lockOwner\":\"a\\q\"}", "syntax error (line 1:14): invalid escape code \"\\\\q\" in string")]
    [InlineData("{\"lockOwner\":\"a\nb\"}", "syntax error (line 1:14): invalid character '\\n' in string")]
    [InlineData("{} x", "syntax error (line 1:4): invalid value x")]
    [InlineData("{}{}", "syntax error (line 1:3): unexpected token {")]
    public async Task A_body_that_is_no_message_is_refused_with_the_place(string body, string expected)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsync(new Uri("/v1.0-alpha1/lock/store", UriKind.Relative), new ByteArrayContent(Encoding.UTF8.GetBytes(body)), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("failed deserializing HTTP body: proto: " + expected, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancellation))!["message"]);
    }
}
