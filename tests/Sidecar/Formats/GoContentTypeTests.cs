using System.Text;
using EmbeddedSidecar.Formats;

namespace DaprOrders.Sidecar.Tests.Formats;

/// <summary>What Go's server says of a body without a content type (net/http, sniff.go and its tests).</summary>
public sealed class GoContentTypeTests
{
    [Theory]
    [InlineData("ok", "text/plain; charset=utf-8")]
    [InlineData("{\"a\": 1}", "text/plain; charset=utf-8")]
    [InlineData("\t\u001B\u00FF", "text/plain; charset=utf-8")]
    [InlineData("\u0001\u0002\u0003", "application/octet-stream")]
    [InlineData("  \n<!DOCTYPE html>", "text/html; charset=utf-8")]
    [InlineData("<p >x", "text/html; charset=utf-8")]
    [InlineData("<pre>x", "text/plain; charset=utf-8")]
    [InlineData("<a", "text/plain; charset=utf-8")]
    [InlineData("\n<?xml!", "text/xml; charset=utf-8")]
    [InlineData("%PDF-1.7", "application/pdf")]
    [InlineData(" %PDF-1.7", "text/plain; charset=utf-8")]
    [InlineData("\u0089PNG\r\n\u001A\n", "image/png")]
    [InlineData("\u00FF\u00D8\u00FF", "image/jpeg")]
    [InlineData("GIF87a...", "image/gif")]
    [InlineData("RIFF\u0001\u0002\u0003\u0004WEBPVP", "image/webp")]
    [InlineData("RIFF\u0001\u0002\u0003\u0004WAVE", "audio/wave")]
    [InlineData("\u00EF\u00BB\u00BFtext", "text/plain; charset=utf-8")]
    [InlineData("\u00FE\u00FF\0t", "text/plain; charset=utf-16be")]
    [InlineData("\u001F\u008B\u0008", "application/x-gzip")]
    [InlineData("PK\u0003\u0004", "application/zip")]
    [InlineData("\0\0\0\u0018ftypmp42\0\0\0\0mp42isom", "video/mp4")]
    [InlineData("\0\0\0\u0010ftypisom\0\0\0\0mp42isom", "application/octet-stream")]
    [InlineData("\0\0\0\u0018ftypisom\0\0\0\0isommp41", "video/mp4")]
    [InlineData("\0asm", "application/wasm")]
    public void A_body_is_known_by_its_beginning(string latin1, string type) => Assert.Equal(type, GoContentType.Of(Encoding.Latin1.GetBytes(latin1)));

    [Fact]
    public void What_comes_after_512_bytes_does_not_count() =>
        Assert.Equal("text/plain; charset=utf-8", GoContentType.Of([.. Enumerable.Repeat((byte)'x', GoContentType.Length), 0]));
}
