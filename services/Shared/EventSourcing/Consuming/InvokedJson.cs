using System.Net.Http.Json;

namespace DaprOrders.EventSourcing.Consuming;

internal static class InvokedJson
{
    private const int ShownOfAnswer = 300;

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
