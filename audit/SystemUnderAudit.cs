using System.Net;
using System.Text.Json;

namespace DaprOrders.Audit;

/// <summary>The system could not be asked, or did not answer as its API says.</summary>
public sealed class AuditException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The HTTP APIs of a running system; nothing else is known of it.</summary>
/// <param name="serviceOf">By app id, the address that its paths follow: <c>http://localhost:3501/v1.0/invoke/ordering/method/</c>, or the service itself.</param>
/// <param name="paymentProvider">The payment provider itself; null where it has no ledger that could be read, as other companies' have not.</param>
/// <param name="credentials">Headers by which the services, and nobody else, know who asks; none where they ask for none.</param>
public sealed class SystemUnderAudit(
    Func<string, Uri> serviceOf, Uri? paymentProvider, IReadOnlyDictionary<string, string>? credentials = null) : IDisposable
{
    public const string Ordering = "ordering";
    public const string Inventory = "inventory";
    public const string Payments = "payments";
    public const string Shipping = "shipping";
    public const string Reporting = "reporting";

    private const int Attempts = 4;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private static readonly Dictionary<string, string> Nothing = [];

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };

    public static IReadOnlyList<string> Services { get; } = [Ordering, Inventory, Payments, Shipping, Reporting];

    /// <summary>As the services' settings ask for them: with an app token the event logs are read as Reporting may, and where people sign in, by an operator.</summary>
    /// <param name="appToken">APP_API_TOKEN of the services, if they have one.</param>
    /// <param name="bearerToken">An operator's, if people sign in.</param>
    public static IReadOnlyDictionary<string, string> Credentials(string? appToken, string? bearerToken)
    {
        var headers = new Dictionary<string, string>();
        if (!string.IsNullOrEmpty(appToken))
            (headers["dapr-api-token"], headers["Dapr-Caller-App-Id"]) = (appToken, Reporting);
        if (!string.IsNullOrEmpty(bearerToken))
            headers["Authorization"] = $"Bearer {bearerToken}";
        return headers;
    }

    /// <exception cref="AuditException">One of those that are to be asked does not answer.</exception>
    public Task RequireAnswersAsync(CancellationToken cancellationToken) => Task.WhenAll([
        .. Services.Select(service => GetAsync(service, service == Reporting ? "summary" : "event-log", cancellationToken)),
        .. HasLedger ? [ReadLedgerAfterAsync(0, cancellationToken)] : Array.Empty<Task>(),
    ]);

    /// <exception cref="AuditException">No answer, or another than 200, several times in a row.</exception>
    internal Task<JsonElement> GetAsync(string service, string path, CancellationToken cancellationToken) =>
        GetAsync(new Uri(serviceOf(service), path), credentials ?? Nothing, cancellationToken);

    internal bool HasLedger => paymentProvider is not null;

    /// <summary>Every charge and refund that the provider ever made.</summary>
    internal async Task<IReadOnlyList<JsonElement>> ReadLedgerAsync(CancellationToken cancellationToken)
    {
        var entries = new List<JsonElement>();
        for (var after = 0L; ;)
        {
            var page = await ReadLedgerAfterAsync(after, cancellationToken);
            if (page.GetProperty("entries").GetArrayLength() == 0)
                return entries;
            entries.AddRange(page.GetProperty("entries").EnumerateArray());
            after = page.GetProperty("next").GetInt64();
        }
    }

    private Task<JsonElement> ReadLedgerAfterAsync(long after, CancellationToken cancellationToken) =>
        GetAsync(new Uri(paymentProvider!, $"ledger?limit=1000&after={after}"), Nothing, cancellationToken);

    /// <summary>A list that is read page by page: as long as a page names the next one in <paramref name="cursor"/>.</summary>
    internal async Task<IReadOnlyList<JsonElement>> ReadPagesAsync(
        string service, string path, string list, string cursor, string parameter, CancellationToken cancellationToken)
    {
        var items = new List<JsonElement>();
        string? next = null;
        do
        {
            var page = await GetAsync(service, next is null ? path : $"{path}&{parameter}={Uri.EscapeDataString(next)}", cancellationToken);
            items.AddRange(page.GetProperty(list).EnumerateArray());
            next = page.TryGetProperty(cursor, out var value) ? value.GetString() : null;
        }
        while (next is not null);

        return items;
    }

    public void Dispose() => _http.Dispose();

    /// <summary>A service that is just started again, or whose replica was killed, is asked once more.</summary>
    private async Task<JsonElement> GetAsync(Uri address, IReadOnlyDictionary<string, string> headers, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, address);
                foreach (var (name, value) in headers)
                    request.Headers.Add(name, value);
                using var answer = await _http.SendAsync(request, cancellationToken);
                var text = await answer.Content.ReadAsStringAsync(cancellationToken);
                if (answer.StatusCode == HttpStatusCode.OK)
                    return Parse(address, text);
                if (attempt == Attempts || (int)answer.StatusCode < 500)
                    throw new AuditException($"GET {address} answered {(int)answer.StatusCode}: {text}");
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                if (attempt == Attempts)
                    throw new AuditException($"GET {address} was not answered: {e.Message}", e);
            }

            await Task.Delay(Pause * attempt, cancellationToken);
        }
    }

    private static JsonElement Parse(Uri address, string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException e)
        {
            throw new AuditException($"GET {address} did not answer JSON: {e.Message}", e);
        }
    }
}
