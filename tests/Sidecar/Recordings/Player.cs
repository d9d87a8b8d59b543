using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Tests.Servers;
using Grpc.Core;
using Grpc.Net.Client;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>Plays one recording: a sidecar and a recording app for each of its apps, then its steps, and hands back how it differs.</summary>
public sealed partial class Player : IAsyncDisposable
{
    private static readonly TimeSpan LongestPlay = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    private readonly Recording _recording;
    private readonly string _directory = Directory.CreateTempSubdirectory("recording-").FullName;
    private readonly Dictionary<string, int> _appPorts;
    private readonly Dictionary<string, RecordingServer> _apps;
    private readonly Dictionary<string, string> _saved = [];
    private readonly Dictionary<string, string> _addresses = [];
    private readonly AppCalls _calls = new();
    private readonly RecordedForm _form;
    private readonly RecordingStreams _streams;
    private readonly IPlayedRuntime _runtime;
    private readonly Dictionary<Uri, GrpcChannel> _channels = [];
    private NatsServer? _nats;
    private IReadOnlyList<string> _tried = [];

    /// <summary>What is being handled when a sidecar, or the play, ends is in the recording as it then went.</summary>
    private bool _endsNext;
    private readonly HashSet<string> _cut = [];

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ActivityHeadersPropagator = null,
        RequestHeaderEncodingSelector = (_, _) => WireText.EncodingOfHeaders,
        ResponseHeaderEncodingSelector = (_, _) => WireText.EncodingOfHeaders,
    });

    private Player(Recording recording)
    {
        _recording = recording;
        _appPorts = recording.Apps.ToDictionary(app => app.Id, app => app.HasPort ? FreePort.Next() : 0);
        _form = new RecordedForm(_directory, _appPorts, TimeProvider.System, recording);
        _streams = new RecordingStreams(_calls, _form);
        _apps = recording.Apps.Where(app => app.HasPort).ToDictionary(app => app.Id, AppOf);
        _runtime = Environment.GetEnvironmentVariable("DAPR_RUNTIME") is { Length: > 0 } folder
            ? new DaprdRuntime(recording, _directory, _appPorts, folder)
            : new EmbeddedRuntime(recording, _directory, _appPorts);
    }

    private RecordingServer AppOf(AppScript app) => _recording.WithGrpcApps
        ? new RecordingGrpcApp(app, _appPorts[app.Id], _calls, _form)
        : new RecordingApp(app, _appPorts[app.Id], _calls, _form);

    public static Task<IReadOnlyList<Difference>> PlayAsync(Recording recording, CancellationToken cancel) => PlayAsync(recording, null, cancel);

    /// <param name="servers">For components that need one.</param>
    public static async Task<IReadOnlyList<Difference>> PlayAsync(Recording recording, StoreServers? servers, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(LongestPlay);
        await using var player = new Player(recording);
        if (servers is not null)
            await player.TakeServersAsync(servers, limit.Token);
        var start = await player.StartAsync(limit.Token);
        var got = new List<JsonObject>();
        foreach (var (i, step) in recording.Steps.Index())
        {
            var next = recording.Steps.ElementAtOrDefault(i + 1);
            player._endsNext = next is null || next["stopSidecar"] is not null || next["kill"] is not null;
            got.Add(await player.StepAsync(step, limit.Token));
        }

        await player._calls.SettleAsync(limit.Token);
        return Comparison.Of(recording, start, got);
    }

    public async ValueTask DisposeAsync()
    {
        await _streams.DisposeAsync();
        await _runtime.DisposeAsync();
        foreach (var app in _apps.Values)
            await app.DisposeAsync();
        foreach (var channel in _channels.Values)
            channel.Dispose();
        _http.Dispose();
        if (_nats is not null)
            await _nats.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>The recorded components name the servers at their usual ports: ours take their place, each play with a database of its own.</summary>
    private async Task TakeServersAsync(StoreServers servers, CancellationToken cancel)
    {
        foreach (var component in _recording.Servers())
        {
            if (component == "redis")
            {
                var redis = await servers.RedisAsync();
                _addresses[Recording.RedisAddress] = redis.Address;
                _saved["worker"] = redis.NewDatabase().ToString();
            }
            else if (component == "rabbitmq")
            {
                var rabbitMq = await servers.RabbitMqAsync();
                _addresses["127.0.0.1:5672"] = $"{RabbitMqServer.Host}:{rabbitMq.Port}";
                _saved["vhost"] = rabbitMq.NewVirtualHost();
            }
            else if (component == "postgresql")
            {
                var postgres = await servers.PostgresAsync();
                _addresses["port=5432"] = $"port={postgres.Port}";
                _saved["pg"] = await postgres.NewDatabaseAsync(cancel);
            }
            else if (component == "jetstream")
            {
                // A stream for each topic, but for the recordings that say otherwise; the names of topics are taken, so each play has a server.
                _nats = await NatsServer.StartAsync(cancel);
                _saved["nats"] = $"{_nats.Port}";
                await _nats.AddStreamsAsync(_recording.Topics(), cancel, (bool?)_recording.Content["oneStream"] is true ? "all" : null);
            }
        }
    }

    private async Task<JsonArray> StartAsync(CancellationToken cancel)
    {
        WriteResources();
        foreach (var app in _recording.Apps.Where(app => app is { HasPort: true, OpensAfter.Ticks: 0 }))
            await _apps[app.Id].StartAsync(cancel);
        var late = Task.WhenAll(_recording.Apps.Where(app => app is { HasPort: true, OpensAfter.Ticks: > 0 }).Select(async app =>
        {
            await Task.Delay(app.OpensAfter!.Value, cancel);
            await _apps[app.Id].StartAsync(cancel);
        }));
        await Task.WhenAll(late, _runtime.StartAsync(cancel));
        foreach (var app in _recording.Apps.Where(app => app is { OpensAfter: not null, IsOff: false }))
            await ReadyAsync(app.Id, cancel);
        _form.GrpcPorts = _recording.Apps.Where(app => !app.IsOff).ToDictionary(app => app.Id, app => _runtime.Grpc(app.Id).Port);
        return await _calls.TakeAsync(_recording.Start.Count, TimeSpan.FromMilliseconds(300), TimeSpan.Zero, cancel);
    }

    private async Task ReadyAsync(string app, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        while (!await IsReadyAsync(app, cancel))
        {
            if (clock.Elapsed > LongestStart)
                throw new TimeoutException($"The sidecar of {app} was not ready within {LongestStart.TotalSeconds} s.");
            await Task.Delay(BetweenLooks, cancel);
        }
    }

    private async Task<bool> IsReadyAsync(string app, CancellationToken cancel)
    {
        try
        {
            using var answer = await _http.GetAsync(new Uri(_runtime.Http(app), "/v1.0/healthz"), cancel);
            return answer.StatusCode == HttpStatusCode.NoContent;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }

    private async Task<JsonObject> StepAsync(JsonObject recorded, CancellationToken cancel)
    {
        if (recorded["parallel"]?.AsArray() is { } parallel)
        {
            var got = await Task.WhenAll(parallel.Select(async step =>
            {
                if ((double?)step!["after"] is { } seconds)
                    await Task.Delay(TimeSpan.FromSeconds(seconds), cancel);
                return await StepAsync(step.AsObject(), cancel);
            }));
            return new JsonObject { ["parallel"] = new JsonArray([.. got]) };
        }
        if ((int?)recorded["times"] is { } times)
        {
            var once = recorded.DeepClone().AsObject();
            once.Remove("times");
            var last = new JsonObject();
            for (var i = 0; i < times; i++)
                last = await StepAsync(once, cancel);
            return last;
        }
        var step = Filled(recorded).AsObject();
        var app = (string?)step["app"] ?? _recording.Apps[0].Id;
        if (step["http"] is { } http)
            return await HttpAsync(app, (string)http!, step, cancel);
        if (step["open"] is not null)
            return await OpenAsync(app, step, cancel);
        if (step["ended"] is { } ended)
            return await EndedAsync((string)ended!, cancel);
        if (step["grpc"] is { } grpc)
            return await GrpcAsync(app, (string)grpc!, step, cancel);
        if (step["raw"] is { } raw)
            return await RawRequest.SendAsync(_runtime.Http(app), [.. raw.AsArray().Select(part => (string)part!)], _form, cancel);
        if (step["exit"] is { } exit)
            return new JsonObject { ["exit"] = await HasEndedAsync(app, (double?)exit["within"] ?? 0, cancel) };
        if (step["try"] is { } tried)
            return await TryAsync((string)tried!, step["write"]?.AsObject() ?? [], cancel);
        if (step["calls"] is { } calls)
            return await CallsAsync(calls.AsObject(), recorded, cancel);
        if (step["sleep"] is { } seconds)
            await Task.Delay(TimeSpan.FromSeconds((double)seconds), cancel);
        else if (step["write"] is { } written)
            Write(written.AsObject());
        else if (step["remove"] is { } removed)
            Remove(removed.AsArray().Select(name => (string)name!));
        else if (step["log"] is not null)
            return []; // Of a sidecar's log only what it leads to is played.
        else if (step["close"] is { } closed)
            await _streams.CloseAsync((string)closed!);
        else if (step["restart"] is { } restarted)
            await RestartAsync((string)restarted!, cancel);
        else if (step["stopSidecar"] is { } stopped)
            await _runtime.StopAsync((string)stopped!, cancel);
        else if (step["startSidecar"] is { } started)
            await StartSidecarAsync((string)started!, cancel);
        else if (step["kill"] is { } killed)
            await KillAsync((string)killed!, cancel);
        else if (step["stopApp"] is { } appStopped)
            await _apps[(string)appStopped!].StopAsync();
        else if (step["startApp"] is { } appStarted)
            await _apps[(string)appStarted!].StartAsync(cancel);
        else
            throw new InvalidOperationException($"{_recording.Id} has a step that this player does not know: {recorded.ToJsonString()}");
        return [];
    }

    /// <summary>
    /// A sidecar that is killed says nothing: what a stream's end then says are the client's own words, or, since nothing in a process can die alone,
    /// those of a sidecar that stops and waits for nothing. The words of Go's client are in the recordings.
    /// </summary>
    private async Task<JsonObject> EndedAsync(string stream, CancellationToken cancel)
    {
        var end = await _streams.EndedAsync(stream, cancel);
        // What a client makes of a connection that was cut depends on where it was cut.
        if (_cut.Contains(stream) && (string?)end["status"] is "Unavailable" or "Internal" or "Canceled")
            (end["status"], end["message"]) = ("Unavailable", "error reading from server: EOF");
        return end;
    }

    /// <summary>An embedded sidecar has no exit code of its own: one that has ended by a shutdown counts as 0.</summary>
    private async Task<JsonNode> HasEndedAsync(string app, double within, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        while (!_runtime.HasEnded(app))
        {
            if (clock.Elapsed > TimeSpan.FromSeconds(within))
                return "runs";
            await Task.Delay(BetweenLooks, cancel);
        }
        return 0;
    }

    private async Task<JsonObject> CallsAsync(JsonObject calls, JsonObject recorded, CancellationToken cancel)
    {
        var count = (int?)calls["count"] ?? 0;
        // A count of 0 watches for the whole time. Where more came than was waited for, it is waited for as much: the machine may be slow.
        var came = recorded["got"]?["calls"]?.AsArray().Count ?? 0;
        var awaited = count == 0 ? 0 : Math.Max(count, came);
        var quiet = TimeSpan.FromSeconds((double?)calls["quiet"] ?? 0.3);
        var taken = await _calls.TakeAsync(awaited, TimeSpan.FromSeconds((double?)calls["within"] ?? 0), quiet, cancel, came, settle: !_endsNext);
        return taken.Count == 0 ? [] : new JsonObject { ["calls"] = taken };
    }

    private async Task<JsonObject> HttpAsync(string app, string verbAndPath, JsonObject step, CancellationToken cancel)
    {
        var (verb, path) = (verbAndPath.Split(' ', 2)[0], verbAndPath.Split(' ', 2)[1]);
        // The path goes out as it is written, ".." and all.
        var asWritten = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        var uri = new Uri(_runtime.Http(app).GetLeftPart(UriPartial.Authority) + path, asWritten);
        using var request = new HttpRequestMessage(new HttpMethod(verb), uri);
        if (BodyOf(step) is { } body)
        {
            request.Content = new ByteArrayContent(body);
            if (step["text"] is null)
                request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        foreach (var (name, value) in step["headers"]?.AsObject() ?? [])
            SetHeader(request, name, HeaderValue((string)value!));
        var clock = Stopwatch.StartNew();
        try
        {
            using var answer = await _http.SendAsync(request, cancel);
            var content = await answer.Content.ReadAsByteArrayAsync(cancel);
            Save(step, content, answer);
            var got = new JsonObject { ["status"] = (int)answer.StatusCode, ["elapsedMs"] = clock.ElapsedMilliseconds };
            if (_form.Headers(answer.Headers.Concat(answer.Content.Headers)) is { Count: > 0 } headers)
                got["headers"] = headers;
            if (_form.Body(content) is { } recorded)
                got["body"] = recorded;
            return got;
        }
        catch (HttpRequestException cut)
        {
            return new JsonObject { ["error"] = _form.Text(cut.Message), ["elapsedMs"] = clock.ElapsedMilliseconds };
        }
    }

    private async Task<JsonObject> GrpcAsync(string app, string method, JsonObject step, CancellationToken cancel)
    {
        var metadata = new Metadata();
        foreach (var (name, value) in step["headers"]?.AsObject() ?? [])
        {
            if (name.EndsWith("-bin", StringComparison.Ordinal))
                metadata.Add(name, Binary((string)value!));
            else
                metadata.Add(name, HeaderValue((string)value!));
        }
        var clock = Stopwatch.StartNew();
        var (got, answer) = await GrpcCalls.CallAsync(Invoker(app), method, step["request"]!, metadata, (bool?)step["head"] == true, _form, cancel);
        if (answer is not null)
            SaveFields(step, answer);
        got["elapsedMs"] = clock.ElapsedMilliseconds;
        return got;
    }

    private async Task<JsonObject> OpenAsync(string app, JsonObject step, CancellationToken cancel)
    {
        var (got, first) = await _streams.OpenAsync(Invoker(app), (string)step["grpc"]!, step, cancel);
        if (first is not null)
            SaveFields(step, first);
        return got;
    }

    private CallInvoker Invoker(string app)
    {
        var address = _runtime.Grpc(app);
        if (!_channels.TryGetValue(address, out var channel))
        {
            var options = new GrpcChannelOptions { MaxReceiveMessageSize = null, MaxSendMessageSize = null };
            _channels[address] = channel = GrpcChannel.ForAddress(address, options);
        }
        return channel.CreateCallInvoker();
    }

    private static byte[]? BodyOf(JsonObject step)
    {
        if ((int?)step["size"] is { } size)
            return Encoding.UTF8.GetBytes($"\"{new string('x', size - 2)}\"");
        return (step["jsonText"] ?? step["text"]) is { } text ? WireText.Bytes((string)text!) : null;
    }

    private static void SetHeader(HttpRequestMessage request, string name, string value)
    {
        if (name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
        {
            request.Headers.TransferEncodingChunked = true;
            return;
        }
        if (request.Headers.TryAddWithoutValidation(name, value))
            return;
        request.Content ??= new ByteArrayContent([]);
        request.Content.Headers.Remove(name);
        request.Content.Headers.TryAddWithoutValidation(name, value);
    }

    /// <summary>Base64, which gRPC writes without the signs that fill it up; what is none is the bytes themselves.</summary>
    private static byte[] Binary(string value)
    {
        var bytes = new byte[value.Length];
        var filled = value + new string('=', (4 - (value.Length % 4)) % 4);
        return Convert.TryFromBase64String(filled, bytes, out var length) ? bytes[..length] : WireText.Bytes(value);
    }

    private static string HeaderValue(string value) =>
        value.StartsWith("@repeat ", StringComparison.Ordinal) ? new string('x', int.Parse(value["@repeat ".Length..])) : WireText.ToHeader(value);

    /// <summary>Keeps parts of an answer for later steps: <c>header:Name</c>, or the path of a field in the body.</summary>
    private void Save(JsonObject step, byte[] content, HttpResponseMessage answer)
    {
        foreach (var (name, from) in step["save"]?.AsObject() ?? [])
        {
            var source = (string)from!;
            if (source.StartsWith("header:", StringComparison.Ordinal) && answer.Headers.TryGetValues(source["header:".Length..], out var values))
                _saved[name] = string.Join(", ", values);
        }
        if (step["save"] is not null && _form.Body(content) is JsonObject)
            SaveFields(step, JsonNode.Parse(content)!);
    }

    private void SaveFields(JsonObject step, JsonNode answer)
    {
        foreach (var (name, from) in step["save"]?.AsObject() ?? [])
        {
            var source = (string)from!;
            if (!source.StartsWith("header:", StringComparison.Ordinal) && answer[source] is { } value)
                _saved[name] = value.ToString();
        }
    }

    private async Task RestartAsync(string app, CancellationToken cancel)
    {
        await _runtime.StopAsync(app, cancel);
        await StartSidecarAsync(app, cancel);
    }

    private async Task KillAsync(string app, CancellationToken cancel)
    {
        _cut.UnionWith(_streams.Open);
        await _runtime.KillAsync(app, cancel);
        await StartSidecarAsync(app, cancel);
    }

    private async Task StartSidecarAsync(string app, CancellationToken cancel)
    {
        await _runtime.StartAgainAsync(app, cancel);
        await ReadyAsync(app, cancel);
    }

    /// <summary>A start with these files, in place of those of the last try.</summary>
    private async Task<JsonObject> TryAsync(string app, JsonObject files, CancellationToken cancel)
    {
        await _runtime.StopAsync(app, cancel);
        Remove(_tried);
        _tried = [.. files.Select(file => file.Key)];
        Write(files);
        try
        {
            await StartSidecarAsync(app, cancel);
            return new JsonObject { ["status"] = "ready" };
        }
        catch (ResourceException)
        {
            return new JsonObject { ["status"] = "exit 1" };
        }
    }

    private void Write(JsonObject files)
    {
        foreach (var (name, lines) in files)
            File.WriteAllText(PathOf(name), Lines(lines!));
    }

    private void Remove(IEnumerable<string> files)
    {
        foreach (var name in files)
            File.Delete(PathOf(name));
    }

    private string PathOf(string file) => file == "config.yaml" ? Path.Combine(_directory, file) : Path.Combine(_directory, "resources", file);

    /// <summary>{{name}} in any text of a step or a file is a saved value, the port of an app, or the folder of this play.</summary>
    private JsonNode Filled(JsonNode node) => node switch
    {
        JsonObject fields => new JsonObject(fields.Where(field => field.Key != "got").Select(field =>
            KeyValuePair.Create(field.Key, field.Value is null ? null : (JsonNode?)Filled(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(item => item is null ? null : Filled(item))]),
        JsonValue value when value.TryGetValue<string>(out var text) => Filled(text),
        _ => node.DeepClone(),
    };

    private string Filled(string text) => Placeholder().Replace(WireText.Repeated(text), match => match.Groups[1].Value switch
    {
        "dir" => _directory.Replace('\\', '/'),
        ['a', 'p', 'p', 'P', 'o', 'r', 't', ':', .. var app] => _appPorts[app].ToString(),
        var name => _saved.GetValueOrDefault(name, ""),
    });

    private void WriteResources()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_directory, "resources")).FullName;
        foreach (var (kind, component) in _recording.Components())
        {
            var text = File.ReadAllText(Path.Combine(Recording.DataFolder, "components", kind, component + ".yaml"));
            File.WriteAllText(Path.Combine(folder, $"{kind}.yaml"), Filled(WithOurServers(text)) + Metadata(kind));
        }
        foreach (var (name, lines) in _recording.Content["resources"]?.AsObject() ?? [])
            File.WriteAllText(Path.Combine(folder, name), Filled(WithOurServers(Lines(lines!))));
        if (_recording.Content["config"] is { } config)
            File.WriteAllText(PathOf("config.yaml"), Filled(Lines(config)));
        else if (_recording.Steps.Any(step => step["write"]?["config.yaml"] is not null && step["try"] is null))
            File.WriteAllText(PathOf("config.yaml"), "kind: Configuration\napiVersion: dapr.io/v1alpha1\n");
        foreach (var app in _recording.Apps.Where(app => app.Configuration is not null))
            File.WriteAllText(Path.Combine(_directory, $"config-{app.Id}.yaml"), Filled(Lines(app.Configuration!)));
    }

    private string WithOurServers(string text) =>
        _addresses.Aggregate(text, (replaced, address) => replaced.Replace(address.Key, address.Value, StringComparison.Ordinal));

    /// <summary>The further metadata fields of a component, as the end of its file, where its metadata stands.</summary>
    private string Metadata(string kind)
    {
        var name = kind == "state" ? "store" : kind;
        var fields = (_recording.Content["metadata"]?[name]?.AsObject() ?? []).ToDictionary(field => field.Key, field => (string)field.Value!);
        if (kind == "state" && _recording.WithActors)
            fields["actorStateStore"] = "true";
        return string.Concat(fields.Select(field => $"    - name: {field.Key}\n      value: \"{field.Value}\"\n"));
    }

    private static string Lines(JsonNode lines) => string.Join('\n', lines.AsArray().Select(line => (string)line!)) + "\n";

    [GeneratedRegex(@"\{\{([A-Za-z0-9:]+)\}\}")]
    private static partial Regex Placeholder();
}
