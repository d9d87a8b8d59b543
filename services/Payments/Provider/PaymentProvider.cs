using System.Net;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace DaprOrders.Payments.Provider;

/// <summary>What the provider said to a charge.</summary>
public abstract record ChargeOutcome
{
    private ChargeOutcome()
    {
    }

    public sealed record Charged(string ChargeId) : ChargeOutcome;

    public sealed record Declined(string Reason) : ChargeOutcome;
}

/// <summary>What the provider said to a refund.</summary>
public abstract record RefundOutcome
{
    private RefundOutcome()
    {
    }

    public sealed record Refunded(string RefundId) : RefundOutcome;

    public sealed record Refused(string Reason) : RefundOutcome;
}

/// <summary>The provider's answer is not known: it may have charged, or not. Asked again under the same key it says which.</summary>
public sealed class UnclearOutcomeException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The provider is there and answers, only not clearly to this.</summary>
    public bool IsProviderThere { get; init; }
}

/// <summary>
/// The payment company, called through the sidecar (HTTPEndpoint <c>payment-provider-api</c>). Every call carries an Idempotency-Key that is
/// made of the order id, so however often it is repeated, the company acts once.
/// </summary>
/// <param name="http">Its base address is the provider.</param>
/// <param name="pace">Told how every call went; whoever calls waits for it.</param>
public sealed class PaymentProvider(HttpClient http, ProviderPace pace, IOptions<PaymentsOptions> options, TimeProvider time)
{
    private const int LongestReason = 200;


    private readonly ResiliencePipeline<HttpResponseMessage> _calls = Calls(options.Value, time);

    /// <exception cref="UnclearOutcomeException">No clear answer, after several calls.</exception>
    public async Task<ChargeOutcome> ChargeAsync(string orderId, Money amount, string paymentMethod, CancellationToken cancellationToken)
    {
        var (id, refusal) = await AskAsync(
            $"charge order {orderId}",
            "/charges",
            $"charge-{orderId}",
            new { amount = amount.Amount, currency = amount.Currency, paymentMethod, reference = orderId },
            cancellationToken);
        return id is null ? new ChargeOutcome.Declined(refusal!) : new ChargeOutcome.Charged(id);
    }

    /// <exception cref="UnclearOutcomeException">No clear answer, after several calls.</exception>
    public async Task<RefundOutcome> RefundAsync(string orderId, string chargeId, CancellationToken cancellationToken)
    {
        var (id, refusal) = await AskAsync($"refund order {orderId}", $"/charges/{chargeId}/refunds", $"refund-{orderId}", new { }, cancellationToken);
        return id is null ? new RefundOutcome.Refused(refusal!) : new RefundOutcome.Refunded(id);
    }

    /// <summary>The id of what was made, or why the provider will not make it.</summary>
    private async Task<(string? Id, string? Refusal)> AskAsync(string what, string path, string key, object body, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await PostAsync(path, key, body, cancellationToken);
            var said = await ReadAsync(answer, cancellationToken);
            (string?, string?) clear = answer.StatusCode == HttpStatusCode.Created ? (IdOf(said), null)
                : IsDefiniteRefusal(answer, said) ? (null, ReasonOf(answer, said))
                : throw Unclear(what, answer, said);
            pace.Answered();
            return clear;
        }
        catch (UnclearOutcomeException unclear)
        {
            if (unclear.IsProviderThere)
            {
                pace.Answered();
            }
            else
            {
                pace.Failed(unclear.Message);
            }

            throw;
        }
    }

    /// <summary>
    /// Asked again, the provider would say the same: any 4xx, unless it is about the moment (408, 409, 425, 429), about who asks (401, 407: a
    /// key that has run out must not decline every order), or the sidecar's own.
    /// </summary>
    private static bool IsDefiniteRefusal(HttpResponseMessage answer, JsonElement? body) =>
        (int)answer.StatusCode is >= 400 and < 500 and not (401 or 407 or 408 or 409 or 425 or 429) && Text(body, "errorCode") is null;

    /// <summary>Stays in events for ever and is shown to customers, so it is bounded.</summary>
    private static string ReasonOf(HttpResponseMessage answer, JsonElement? body)
    {
        var reason = Text(body, "code") ?? Text(body, "title") ?? $"The payment provider answered {(int)answer.StatusCode}.";
        return reason.Length <= LongestReason ? reason : reason[..LongestReason];
    }

    private async Task<HttpResponseMessage> PostAsync(string path, string key, object body, CancellationToken cancellationToken)
    {
        try
        {
            return await _calls.ExecuteAsync(
                async token =>
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative));
                    request.Content = JsonBody.Of(body, JsonSerializerOptions.Web);
                    request.Headers.Add("Idempotency-Key", key);
                    return await http.SendAsync(request, token);
                },
                cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or TimeoutRejectedException)
        {
            throw new UnclearOutcomeException($"The payment provider gave no answer to {key}: {exception.Message}", exception);
        }
    }

    private static async Task<JsonElement?> ReadAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        try
        {
            return JsonElement.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken));
        }
        catch (JsonException)
        {
            // Not from the provider's own hand: judged by its status alone.
            return null;
        }
    }

    private static string IdOf(JsonElement? body) =>
        Text(body, "id") ?? throw new UnclearOutcomeException("The payment provider answered 201 without an id.");

    private static string? Text(JsonElement? body, string name) =>
        body is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static UnclearOutcomeException Unclear(string what, HttpResponseMessage answer, JsonElement? body) =>
        new($"The payment provider answered {(int)answer.StatusCode} to: {what}. {Text(body, "title") ?? Text(body, "message")}")
        {
            IsProviderThere = answer.StatusCode == HttpStatusCode.Conflict,
        };

    private static ResiliencePipeline<HttpResponseMessage> Calls(PaymentsOptions options, TimeProvider time)
    {
        var pipeline = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time };
        if (options.ProviderAttempts > 1)
        {
            pipeline.AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                MaxRetryAttempts = options.ProviderAttempts - 1,
                Delay = options.ProviderBackoff,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = new PredicateBuilder<HttpResponseMessage>()
                    .Handle<HttpRequestException>()
                    .Handle<TimeoutRejectedException>()
                    .HandleResult(answer => (int)answer.StatusCode >= 500 || answer.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout),
            });
        }

        return pipeline.AddTimeout(options.ProviderTimeout).Build();
    }
}
