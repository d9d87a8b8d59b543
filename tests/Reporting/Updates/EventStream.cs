using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace DaprOrders.Reporting.Tests.Updates;

/// <summary>A client of live updates.</summary>
internal sealed class EventStream : IAsyncDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly SseParser<JsonElement> _parser;
    private readonly IAsyncEnumerator<SseItem<JsonElement>> _events;

    private EventStream(HttpResponseMessage response, Stream body)
    {
        _response = response;
        _parser = SseParser.Create(body, (_, data) => JsonElement.Parse(data));
        _events = _parser.EnumerateAsync(Cancellation).GetAsyncEnumerator(Cancellation);
    }

    /// <summary>What a browser sends when it comes back.</summary>
    public string LastEventId => _parser.LastEventId;

    public TimeSpan Retry => _parser.ReconnectionInterval;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<EventStream> OpenAsync(HttpClient http, string path, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new EventStream(response, await response.Content.ReadAsStreamAsync(Cancellation));
    }

    public async Task<SseItem<JsonElement>> NextAsync()
    {
        Assert.True(await _events.MoveNextAsync(), "The stream ended; expected another event.");
        return _events.Current;
    }

    /// <summary>The next ones, as <c>order status version</c>.</summary>
    public async Task<IReadOnlyList<string>> NextAsync(int count)
    {
        var told = new List<string>();
        while (told.Count < count)
        {
            var next = await NextAsync();
            Assert.Equal("order", next.EventType);
            told.Add($"{next.Data.GetProperty("orderId")} {next.Data.GetProperty("status")} {next.Data.GetProperty("version")}");
        }

        return told;
    }

    public async Task EndsAsync() => Assert.False(await _events.MoveNextAsync());

    public async ValueTask DisposeAsync()
    {
        _response.Dispose();
        await _events.DisposeAsync();
    }
}
