using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// Stands between a sidecar and its application and makes a bad broker of a good one: of ten messages one is lost for good (and told to be
/// handled), one comes twice, one comes late, behind others of its stream; and batches are shuffled. Everything else passes untouched.
/// </summary>
internal sealed class LossyDelivery : IAsyncDisposable
{
    private const double Share = 0.1;

    private readonly WebApplication _app;
    private readonly HttpMessageInvoker _invoker = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false });
    private readonly HttpClient _late = new();
    private readonly string _application;
    private readonly int _appPort;
    private readonly CancellationTokenSource _stopping = new();
    private Task _opening = Task.CompletedTask;
    private readonly Random _random;
    private readonly bool _losesAll;
    private int _lost;
    private int _doubled;
    private int _delayed;

    private LossyDelivery(int appPort, int seed, bool losesAll)
    {
        (_appPort, Port, _losesAll) = (appPort, FreePort.Next(), losesAll);
        _application = $"http://localhost:{appPort}";
        _random = new(seed);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{Port}");
        builder.Services.AddHttpForwarder();
        _app = builder.Build();
        _app.MapPost("/events/{topic}", DeliverAsync);
        _app.MapForwarder("{**path}", _application, ForwarderRequestConfig.Empty, HttpTransformer.Default, _invoker);
    }

    public int Lost => _lost;

    public int Doubled => _doubled;

    public int Delayed => _delayed;

    public int Port { get; }

    /// <summary>Opens its port when the application has opened its own: the launcher refuses to start where a port is taken.</summary>
    /// <param name="losesAll">Nothing is ever delivered.</param>
    public static LossyDelivery Start(int appPort, int seed, bool losesAll = false)
    {
        var delivery = new LossyDelivery(appPort, seed, losesAll);
        delivery._opening = delivery.OpenAsync();
        return delivery;
    }

    private async Task OpenAsync()
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await IsOpenAsync())
            await poll.WaitForNextTickAsync(_stopping.Token);
        await _app.StartAsync(_stopping.Token);
    }

    private async Task<bool> IsOpenAsync()
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("localhost", _appPort, _stopping.Token);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
        await _app.DisposeAsync();
        _invoker.Dispose();
        _late.Dispose();
    }

    private async Task DeliverAsync(HttpContext context, IHttpForwarder forwarder, string topic)
    {
        using var reader = new StreamReader(context.Request.Body);
        var text = await reader.ReadToEndAsync(context.RequestAborted);
        var token = context.Request.Headers["dapr-api-token"].SingleOrDefault();
        if (topic == "dead-letters" || JsonNode.Parse(text) is not JsonObject envelope || envelope["entries"] is not JsonArray entries)
        {
            await ForwardAsync(text);
            return;
        }

        var passed = new List<JsonNode>();
        var kept = new List<string>();
        foreach (var entry in entries.Select(entry => entry!.DeepClone()))
        {
            switch (_losesAll ? 0 : Roll())
            {
                case < Share:
                    Interlocked.Increment(ref _lost);
                    kept.Add(IdOf(entry));
                    break;
                case < 2 * Share:
                    Interlocked.Increment(ref _doubled);
                    var twin = entry.DeepClone();
                    twin["entryId"] = $"{IdOf(entry)}-again";
                    passed.AddRange([entry, twin]);
                    break;
                case < 3 * Share:
                    Interlocked.Increment(ref _delayed);
                    kept.Add(IdOf(entry));
                    _ = DeliverLateAsync(context.Request.Path, token, envelope, entry);
                    break;
                default:
                    passed.Add(entry);
                    break;
            }
        }

        var statuses = new JsonArray([.. kept.Select(id => (JsonNode)new JsonObject { ["entryId"] = id, ["status"] = "SUCCESS" })]);
        if (passed.Count > 0)
        {
            using var answer = await PostAsync(context.Request.Path, token, envelope, Shuffled(passed), context.RequestAborted);
            var body = await answer.Content.ReadAsStringAsync(context.RequestAborted);
            if (answer.StatusCode != HttpStatusCode.OK || JsonNode.Parse(body)?["statuses"] is not JsonArray answered)
            {
                context.Response.StatusCode = (int)answer.StatusCode;
                await context.Response.WriteAsync(body, context.RequestAborted);
                return;
            }

            foreach (var status in answered.Where(status => !$"{status!["entryId"]}".EndsWith("-again", StringComparison.Ordinal)))
                statuses.Add(status!.DeepClone());
        }

        await context.Response.WriteAsJsonAsync(new JsonObject { ["statuses"] = statuses }, context.RequestAborted);

        async Task ForwardAsync(string content)
        {
            context.Request.Body = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(content));
            await forwarder.SendAsync(context, _application, _invoker);
        }
    }

    private async Task<HttpResponseMessage> PostAsync(PathString path, string? token, JsonObject envelope, IEnumerable<JsonNode> entries, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{_application}{path}") { Content = Body(envelope, entries) };
        request.Headers.Add("dapr-api-token", token);
        return await _late.SendAsync(request, cancellationToken);
    }

    private async Task DeliverLateAsync(PathString path, string? token, JsonObject envelope, JsonNode entry)
    {
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(0.1 + (3 * Roll())));
            using var answer = await PostAsync(path, token, envelope, [entry], _stopping.Token);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or ObjectDisposedException)
        {
            // Late and lost.
        }
    }

    private static StringContent Body(JsonObject envelope, IEnumerable<JsonNode> entries)
    {
        var body = (JsonObject)envelope.DeepClone();
        body["entries"] = new JsonArray([.. entries]);
        return new(body.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
    }

    private static string IdOf(JsonNode entry) => entry["entryId"]!.GetValue<string>();

    private double Roll()
    {
        lock (_random)
            return _random.NextDouble();
    }

    private JsonNode[] Shuffled(List<JsonNode> entries)
    {
        var shuffled = entries.ToArray();
        lock (_random)
            _random.Shuffle(shuffled);
        return shuffled;
    }
}
