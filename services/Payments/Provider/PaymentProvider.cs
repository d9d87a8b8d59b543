using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using DaprOrders.Contracts;
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
public sealed class PaymentProvider
{
    private const int LongestReason = 200;

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly HttpClient _http;
    private readonly ResiliencePipeline<HttpResponseMessage> _calls;

    /// <param name="http">Its base address is the provider.</param>
    public PaymentProvider(HttpClient http, IOptions<PaymentsOptions> options, TimeProvider time)
    {
        _http = http;
        _calls = Calls(options.Value, time);
    }

    /// <exception cref="UnclearOutcomeException">No clear answer, after several calls.</exception>
    public async Task<ChargeOutcome> ChargeAsync(string orderId, Money amount, string paymentMethod, CancellationToken cancellationToken)
    {
        using var answer = await PostAsync(
            "/charges",
            $"charge-{orderId}",
            new { amount = amount.Amount, currency = amount.Currency, paymentMethod, reference = orderId },
            cancellationToken);
        var body = await ReadAsync(answer, cancellationToken);
        return answer.StatusCode == HttpStatusCode.Created ? new ChargeOutcome.Charged(IdOf(body))
            : IsDefiniteRefusal(answer, body) ? new ChargeOutcome.Declined(ReasonOf(answer, body))
            : throw Unclear($"charge order {orderId}", answer, body);
    }

    /// <exception cref="UnclearOutcomeException">No clear answer, after several calls.</exception>
    public async Task<RefundOutcome> RefundAsync(string orderId, string chargeId, CancellationToken cancellationToken)
    {
        using var answer = await PostAsync($"/charges/{chargeId}/refunds", $"refund-{orderId}", new { }, cancellationToken);
        var body = await ReadAsync(answer, cancellationToken);
        return answer.StatusCode == HttpStatusCode.Created ? new RefundOutcome.Refunded(IdOf(body))
            : IsDefiniteRefusal(answer, body) ? new RefundOutcome.Refused(ReasonOf(answer, body))
            : throw Unclear($"refund order {orderId}", answer, body);
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
        // Of known length: a chunked body is one that no sidecar ever sends twice.
        var content = JsonSerializer.SerializeToUtf8Bytes(body, JsonSerializerOptions.Web);
        try
        {
            return await _calls.ExecuteAsync(
                async token =>
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative));
                    request.Content = new ByteArrayContent(content) { Headers = { ContentType = Json } };
                    request.Headers.Add("Idempotency-Key", key);
                    return await _http.SendAsync(request, token);
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
