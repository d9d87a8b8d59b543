using System.Net.Http.Json;
using Dapr.Client;

namespace DaprOrders.EventSourcing.Consuming;

internal static class InvokedJson
{
    /// <summary>Longer than a page takes on a busy machine; a publisher that hangs must not keep who reads many of them.</summary>
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(15);

    private const int ShownOfAnswer = 300;

    /// <summary>Invokes other services, each call with a limit.</summary>
    public static HttpClient CreateClient(DaprClient dapr)
    {
        var http = dapr.CreateInvokableHttpClient();
        http.Timeout = LongestAnswer;
        return http;
    }

    /// <summary>Asks another service by Dapr invocation; a refusal says who refused what, and with which words.</summary>
    public static async Task<T> GetJsonAsync<T>(this HttpClient http, string uri, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(uri));
        return await http.SendJsonAsync<T>(request, cancellationToken);
    }

    /// <inheritdoc cref="GetJsonAsync"/>
    public static async Task<T> SendJsonAsync<T>(this HttpClient http, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The handler of invocation changes the request's address: what was asked is said as it was meant.
        var asked = $"{request.Method} {request.RequestUri}";
        using var response = await http.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            var answer = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new HttpRequestException(
                $"{asked} by Dapr invocation answered {(int)response.StatusCode}: {answer[..Math.Min(answer.Length, ShownOfAnswer)]}",
                null,
                response.StatusCode);
        }

        return await response.Content.ReadFromJsonAsync<T>(EventTypes.Json, cancellationToken) ?? throw new HttpRequestException($"{asked} answered null.");
    }
}
