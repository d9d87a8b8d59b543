using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Metrics;
using Grpc.Core;
using Grpc.Net.Client;

namespace EmbeddedSidecar.Hosting;

/// <summary>Calls from the sidecar to its application: adds the app's token, and never has more than appMaxConcurrency of them under way, health probes apart.</summary>
internal sealed class AppChannel : IDisposable
{
    private static readonly TimeSpan PortDialTimeout = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan PortPollInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>Of an answer that is taken into memory. Invocations over HTTP are not, and may be as large as they like.</summary>
    private const int LargestAnswer = 64 * 1024 * 1024;

    private readonly SidecarOptions _options;
    private readonly TimeProvider _time;
    private readonly GrpcChannel? _grpc;
    private readonly HttpMessageInvoker _probes;
    private readonly GrpcChannel? _grpcProbes;

    public AppChannel(SidecarOptions options, SidecarMetrics metrics, BeforeSidecarCall? before, TimeProvider time)
    {
        _options = options;
        _time = time;
        var scheme = options.AppProtocol is AppProtocol.Https or AppProtocol.Grpcs ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        Address = new UriBuilder(scheme, options.AppChannelAddress, options.AppPort).Uri;
        Authority = Address.GetLeftPart(UriPartial.Authority);
        var unbounded = new AppCallHandler(options, metrics, before);
        HttpMessageHandler calls = options.AppMaxConcurrency > 0 ? new InTurnHandler(unbounded, options.AppMaxConcurrency) : unbounded;
        _probes = new HttpMessageInvoker(unbounded, disposeHandler: false);
        if (options.AppProtocol is AppProtocol.Grpc or AppProtocol.Grpcs)
        {
            _grpc = GrpcChannel.ForAddress(Address, new() { HttpHandler = calls, MaxReceiveMessageSize = LargestAnswer, MaxSendMessageSize = null });
            _grpcProbes = GrpcChannel.ForAddress(Address, new() { HttpHandler = unbounded });
            Grpc = _grpc.CreateCallInvoker();
            Invoker = new HttpMessageInvoker(new OnInvokeHandler(Grpc));
            Transport = new HttpMessageInvoker(calls, disposeHandler: false);
        }
        else
        {
            Invoker = Transport = new HttpMessageInvoker(calls);
        }
    }

    /// <summary>For instance http://127.0.0.1:5101/.</summary>
    public Uri Address { get; }

    /// <summary>The same without the slash at the end.</summary>
    public string Authority { get; }

    /// <summary>False before the app was first reached, and while its health checks fail: calls are then refused by the APIs.</summary>
    public bool IsHealthy { get; internal set; }

    /// <summary>For forwarders: every request through it gets the token and counts for appMaxConcurrency. Where the application speaks gRPC it becomes a call of OnInvoke.</summary>
    public HttpMessageInvoker Invoker { get; }

    /// <summary>As <see cref="Invoker"/>, but the request goes out as it is.</summary>
    public HttpMessageInvoker Transport { get; }

    /// <summary>Null where the application speaks HTTP.</summary>
    public CallInvoker? Grpc { get; }

    /// <summary>Sends a request whose address may be relative to <see cref="Address"/>. The body of the answer is not read yet.</summary>
    /// <exception cref="HttpRequestException">The application cannot be reached.</exception>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        Invoker.SendAsync(Addressed(request), cancellationToken);

    /// <summary>Asks for its health, by the protocol that it speaks: outside of appMaxConcurrency, since a busy application is not an ill one.</summary>
    /// <exception cref="HttpRequestException">It cannot be reached over HTTP.</exception>
    /// <exception cref="RpcException">It is not well, or cannot be reached, over gRPC.</exception>
    public async Task<bool> IsWellAsync(string path, CancellationToken cancellationToken)
    {
        if (_grpcProbes is not null)
        {
            await _grpcProbes.CreateCallInvoker().AsyncUnaryCall(AppCallbacks.HealthCheck, null, new(cancellationToken: cancellationToken), new());
            return true;
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        using var response = await _probes.SendAsync(Addressed(request), cancellationToken);
        return response.IsSuccessStatusCode;
    }

    /// <summary>The body of an answer, within bounds: an application that never ends its answer must not take the memory of all.</summary>
    /// <exception cref="HttpRequestException">The answer broke off, or is too large.</exception>
    public static async Task<byte[]> ReadAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        if (answer.Content.Headers.ContentLength == 0)
            return [];
        await answer.Content.LoadIntoBufferAsync(LargestAnswer, cancellationToken);
        return await answer.Content.ReadAsByteArrayAsync(cancellationToken);
    }

    /// <summary>The questions of the start (GET /dapr/config, GET /dapr/subscribe) carry the app id and a JSON content type.</summary>
    public HttpRequestMessage InitRequest(string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative)) { Content = new ByteArrayContent([]) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.TryAddWithoutValidation("dapr-app-id", _options.AppId);
        return request;
    }

    /// <summary>Waits, for ever if need be, until something accepts connections on the app port.</summary>
    public async Task WaitForPortAsync(CancellationToken cancellationToken)
    {
        while (!await AcceptsAsync(_options.AppChannelAddress, _options.AppPort, cancellationToken))
            await Task.Delay(PortPollInterval, _time, cancellationToken);
    }

    public void Dispose()
    {
        Invoker.Dispose();
        _grpc?.Dispose();
        _grpcProbes?.Dispose();
        _probes.Dispose();
    }

    /// <summary>Somebody accepts connections there, within daprd's half second.</summary>
    internal static async Task<bool> AcceptsAsync(string address, int port, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(PortDialTimeout);
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(address, port, timeout.Token);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private HttpRequestMessage Addressed(HttpRequestMessage request)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true })
            request.RequestUri = new Uri(Address, request.RequestUri ?? throw new ArgumentException("The request has no address.", nameof(request)));
        return request;
    }

    private sealed class InTurnHandler(HttpMessageHandler inner, int most) : DelegatingHandler(inner)
    {
        private readonly SemaphoreSlim _turns = new(most);

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await _turns.WaitAsync(cancellationToken);
            try
            {
                return await base.SendAsync(request, cancellationToken);
            }
            finally
            {
                _turns.Release();
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _turns.Dispose();

            base.Dispose(disposing);
        }
    }

    private sealed class AppCallHandler : DelegatingHandler
    {
        private static readonly TimeSpan PatienceWithUnread = TimeSpan.FromSeconds(5);

        /// <summary>By the call that is being sent: the connection that did not take all of it.</summary>
        private static readonly AsyncLocal<StrongBox<EarlyAnswerStream?>> HalfSent = new();

        private readonly SidecarMetrics _metrics;
        private readonly BeforeSidecarCall? _before;
        private readonly string _appId;
        private readonly string? _token;
        private readonly bool _isH2c;

        public AppCallHandler(SidecarOptions options, SidecarMetrics metrics, BeforeSidecarCall? before)
            : base(new SocketsHttpHandler
            {
                MaxResponseHeadersLength = MostHeaderKilobytes(options),
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                UseCookies = false,
                UseProxy = false,
                EnableMultipleHttp2Connections = true,
#pragma warning disable CA5359 // An application beside its sidecar has a certificate of its own making, if any: daprd takes whatever it shows.
                SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true },
#pragma warning restore CA5359
                // Without one the client of gRPC would set its own, which serves no other calls than its own: not those that are proxied.
                ConnectCallback = options.AppProtocol is AppProtocol.Grpc or AppProtocol.Grpcs ? ConnectAsync : null,
                ActivityHeadersPropagator = null,
                RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
                ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
                PlaintextStreamFilter = (context, _) => new(context.NegotiatedHttpVersion.Major == 1
                    ? new EarlyAnswerStream(context.PlaintextStream, PatienceWithUnread, HalfSentTo)
                    : context.PlaintextStream),
            })
        {
            _metrics = metrics;
            _before = before;
            _appId = options.AppId;
            _token = options.AppApiToken;
            _isH2c = options.AppProtocol is AppProtocol.H2c;
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (!string.IsNullOrEmpty(_token))
            {
                request.Headers.Remove("dapr-api-token");
                request.Headers.TryAddWithoutValidation("dapr-api-token", _token);
            }

            if (request.Content is { } content and not UnflushedContent && request.Options.TryGetValue(UnflushedContent.Wanted, out _))
                request.Content = new UnflushedContent(content);
            if (_isH2c)
                (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
            return SendAndCountAsync(request, cancellationToken);
        }

        /// <summary>daprd bounds those of HTTP/1.1 alone.</summary>
        private static int MostHeaderKilobytes(SidecarOptions options) =>
            options is { ReadBufferBytes: { } bytes, AppProtocol: AppProtocol.Http or AppProtocol.Https } ? Math.Max(1, (bytes + 1023) / 1024) : 64;

        private static void HalfSentTo(EarlyAnswerStream connection)
        {
            if (HalfSent.Value is { } call)
                call.Value = connection;
        }

        private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        /// <summary>A call without an answer counts as one with 500 (pkg/channel/http/http_channel.go).</summary>
        private async Task<HttpResponseMessage> SendAndCountAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var status = (int)HttpStatusCode.InternalServerError;
            var halfSent = HalfSent.Value = new();
            try
            {
                if (_before is not null)
                    await ShownRequests.ShowAsync(_before, _appId, target: null, request, cancellationToken);
                var answer = await base.SendAsync(request, cancellationToken);
                status = (int)answer.StatusCode;
                // It would take the next request for the rest of this one.
                if (halfSent.Value is { } connection)
                {
                    await answer.Content.LoadIntoBufferAsync(LargestAnswer, cancellationToken);
                    await connection.DisposeAsync();
                }

                return answer;
            }
            finally
            {
                _metrics.AppCalled(request, status);
            }
        }
    }
}
