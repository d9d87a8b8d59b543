using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Bindings.Http;

/// <summary>
/// bindings.http: calls of one server (components-contrib bindings/http). Metadata of a call: <c>path</c> goes behind the url as it is written,
/// <c>errorIfNot2XX</c>, and every name with a capital is a header. The answer's metadata are its status and headers.
/// </summary>
internal sealed class HttpBinding(HttpBindingOptions options) : IOutputBinding
{
    private const string Path = "path";
    private const int MostRedirects = 10;

    /// <summary>They come of the body and of the address alone.</summary>
    private static readonly HashSet<string> NotToBeSet = new(StringComparer.OrdinalIgnoreCase) { "Host", "Content-Length", "Transfer-Encoding", "Connection" };

    private static readonly string[] TraceHeaders = ["traceparent", "tracestate", "baggage"];

    private readonly HttpMessageInvoker _http = new(options.CreateHandler());

    public static ComponentType ComponentType { get; } = new("bindings.http", "v1", HttpBindingOptions.Fields, (metadata, _, _) =>
        Task.FromResult<IAsyncDisposable>(new HttpBinding(HttpBindingOptions.Read(metadata))));

    public IReadOnlyList<string> Operations { get; } = ["create", "get", "head", "post", "put", "patch", "delete", "options", "trace"];

    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (options.ResponseTimeout is { } timeout)
            limit.CancelAfter(timeout);
        var method = call.Operation == "create" ? HttpMethod.Post : new HttpMethod(call.Operation.ToUpperInvariant());
        var address = AddressOf(call);
        try
        {
            using var answer = await SendAsync(method, address, call, limit.Token);
            var body = await ReadAsync(answer.Content, limit.Token);
            var metadata = MetadataOf(answer);
            var mustSucceed = call.Metadata.TryGetValue(HttpBindingOptions.ErrorIfNot2XX, out var text) && text.Length > 0
                ? ComponentMetadata.IsTruthy(text)
                : options.MustSucceed;
            return mustSucceed && !answer.IsSuccessStatusCode
                ? throw new BindingException($"received status code {(int)answer.StatusCode}", metadata: metadata)
                : new(body, metadata);
        }
        catch (HttpRequestException e)
        {
            throw new BindingException(GoNetworkError.Of(method, address, e), e);
        }
        catch (IOException e)
        {
            // Of the body, where Go's words name no address.
            throw new BindingException(e is HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } ? "unexpected EOF" : e.Message, e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw Refused(method, address, "context deadline exceeded", e);
        }
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Follows redirects as Go's client does: with a Referer, and what is no GET becomes one unless the answer is 307 or 308.</summary>
    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri first, BindingCall call, CancellationToken cancellationToken)
    {
        Uri? previous = null;
        for (var (address, redirects) = (first, 0); ; redirects++)
        {
            using var request = RequestOf(method, address, call, isFirstHost: address.Authority == first.Authority);
            if (previous is not null && (previous.Scheme == address.Scheme || address.Scheme == Uri.UriSchemeHttps))
                request.Headers.TryAddWithoutValidation("Referer", previous.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped));
            var answer = await _http.SendAsync(request, cancellationToken);
            if (answer.StatusCode is not (HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect
                    or HttpStatusCode.PermanentRedirect)
                || answer.Headers.Location is not { } location)
                return answer;
            answer.Dispose();
            if (redirects == MostRedirects)
                throw Refused(method, address, $"stopped after {MostRedirects} redirects");
            previous = new Uri(address.OriginalString);
            address = new Uri(previous, location);
            if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
                throw Refused(method, address, $"unsupported protocol scheme \"{address.Scheme}\"");
            if (answer.StatusCode is not (HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect) && method != HttpMethod.Head)
                method = HttpMethod.Get;
        }
    }

    private HttpRequestMessage RequestOf(HttpMethod method, Uri address, BindingCall call, bool isFirstHost)
    {
        var request = new HttpRequestMessage(method, address);
        var hasBody = method == HttpMethod.Post || method == HttpMethod.Put || method == HttpMethod.Patch;
        if (hasBody)
            request.Content = new ReadOnlyMemoryContent(call.Data);
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase) { ["Accept"] = "application/json; charset=utf-8" };
        if (hasBody)
            headers["Content-Type"] = "application/json; charset=utf-8";
        if (options.TokenHeader is { } token)
            headers[token.Name] = token.Value;
        foreach (var (name, value) in call.Metadata.Where(field => field.Key is [>= 'A' and <= 'Z', ..] && !NotToBeSet.Contains(field.Key)))
            headers[name] = value;
        foreach (var name in TraceHeaders)
        {
            if (call.Metadata.TryGetValue(name, out var value) && value.Length > 0)
                headers[name] = value;
        }

        // A redirect to another host must not take a secret along.
        if (!isFirstHost)
        {
            foreach (var secret in new[] { "Authorization", "Cookie", options.TokenHeader?.Name ?? "" })
                headers.Remove(secret);
        }

        foreach (var (name, value) in headers)
            Add(request, name, value);
        return request;
    }

    private static void Add(HttpRequestMessage request, string name, string value)
    {
        if (value.AsSpan().IndexOfAny('\r', '\n', '\0') >= 0)
            throw new BindingException($"net/http: invalid header field value for \"{name}\"");
        if (request.Headers.TryAddWithoutValidation(name, value))
            return;
        request.Content ??= new ByteArrayContent([]);
        if (!request.Content.Headers.TryAddWithoutValidation(name, value))
            throw new BindingException($"net/http: invalid header field name \"{name}\"");
    }

    /// <summary>The path as it is written, dots and all; only what cannot stand in the line of a request is escaped.</summary>
    private Uri AddressOf(BindingCall call)
    {
        var address = options.Url;
        if (call.Metadata.TryGetValue(Path, out var path) && path.Length > 0)
            address = $"{address.TrimEnd('/')}/{path.TrimStart('/')}";
        address = address.Split('#')[0];
        if (address.Any(char.IsControl))
            throw new BindingException($"parse \"{address}\": net/url: invalid control character in URL");
        var escaped = string.Concat(address.EnumerateRunes().Select(rune => rune.IsAscii && rune.Value != ' ' ? rune.ToString() : Uri.EscapeDataString(rune.ToString())));
        if (!Uri.TryCreate(escaped, UriKind.Absolute, out var plain) || (plain.Scheme != Uri.UriSchemeHttp && plain.Scheme != Uri.UriSchemeHttps))
            throw new BindingException($"unsupported address \"{address}\": expected http:// or https://");
        // An address without a path is asked for its root.
        return plain.PathAndQuery == "/" ? plain : new Uri(escaped, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
    }

    private async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        using var body = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (options.MaxResponseBytes <= 0 || body.Length < options.MaxResponseBytes)
        {
            var wanted = options.MaxResponseBytes <= 0 ? buffer.Length : (int)Math.Min(buffer.Length, options.MaxResponseBytes - body.Length);
            if (await stream.ReadAsync(buffer.AsMemory(0, wanted), cancellationToken) is not (> 0 and var read))
                break;
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    private static Dictionary<string, string> MetadataOf(HttpResponseMessage answer)
    {
        var metadata = new Dictionary<string, string>
        {
            ["statusCode"] = ((int)answer.StatusCode).ToString(CultureInfo.InvariantCulture),
            ["status"] = $"{(int)answer.StatusCode} {answer.ReasonPhrase}",
        };
        AddAll(answer.Headers.NonValidated);
        AddAll(answer.Content.Headers.NonValidated);
        metadata.Remove("Transfer-Encoding");
        return metadata;

        void AddAll(HttpHeadersNonValidated headers)
        {
            foreach (var (name, values) in headers)
                metadata[name] = string.Join(", ", values);
        }
    }

    private static BindingException Refused(HttpMethod method, Uri address, string reason, Exception? inner = null) =>
        new(GoNetworkError.Of(method, address, new HttpRequestException(reason)), inner);
}
