using System.Net.Http.Json;

namespace DaprOrders.EventSourcing.Consuming;

internal static class InvokedJson
{
    private const int ShownOfAnswer = 300;

    /// <summary>Asks another service by Dapr invocation; a refusal says who refused what, and with which words.</summary>
    public static async Task<T> GetJsonAsync<T>(this HttpClient http, string uri, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(new Uri(uri), cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            var answer = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new HttpRequestException(
                $"GET {uri} by Dapr invocation answered {(int)response.StatusCode}: {answer[..Math.Min(answer.Length, ShownOfAnswer)]}",
                null,
                response.StatusCode);
        }

        return await response.Content.ReadFromJsonAsync<T>(EventTypes.Json, cancellationToken) ?? throw new HttpRequestException($"GET {uri} answered null.");
    }
}
