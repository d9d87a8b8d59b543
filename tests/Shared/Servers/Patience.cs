using System.Net;

namespace DaprOrders.Tests.Servers;

/// <summary>Who is told to come again later (503 with Retry-After) does, as a client is to.</summary>
internal static class Patience
{
    private const int MostAttempts = 120;

    public static async Task<HttpResponseMessage> SendAsync(Func<Task<HttpResponseMessage>> send, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var answer = await send();
            if (answer.StatusCode != HttpStatusCode.ServiceUnavailable || answer.Headers.RetryAfter?.Delta is not { } later || attempt == MostAttempts)
                return answer;
            answer.Dispose();
            await Task.Delay(later, cancellationToken);
        }
    }
}
