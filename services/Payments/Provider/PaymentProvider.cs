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

/// <summary>The provider's answer is not known: it may have charged, or not. Asked again under the same key it says which.</summary>
public sealed class UnclearOutcomeException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The payment company, called through the sidecar (HTTPEndpoint <c>payment-provider-api</c>). Every call carries an Idempotency-Key that is
/// made of the order id, so however often it is repeated, the company acts once.
/// </summary>
public sealed class PaymentProvider
{
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
        return (answer.StatusCode, CodeOf(body)) switch
        {
            (HttpStatusCode.Created, _) => new ChargeOutcome.Charged(IdOf(body)),
            (HttpStatusCode.PaymentRequired, var code) => new ChargeOutcome.Declined(code ?? "declined"),
            (HttpStatusCode.UnprocessableEntity, "unknown-payment-method") => new ChargeOutcome.Declined("unknown-payment-method"),
            _ => throw Unclear($"charge order {orderId}", answer, body),
        };
    }

    /// <returns>The refund's id.</returns>
    /// <exception cref="UnclearOutcomeException">No clear answer, after several calls.</exception>
    public async Task<string> RefundAsync(string orderId, string chargeId, CancellationToken cancellationToken)
    {
        using var answer = await PostAsync($"/charges/{chargeId}/refunds", $"refund-{orderId}", new { }, cancellationToken);
        var body = await ReadAsync(answer, cancellationToken);
        return answer.StatusCode == HttpStatusCode.Created ? IdOf(body) : throw Unclear($"refund order {orderId}", answer, body);
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

    private static string? CodeOf(JsonElement? body) => Text(body, "code");

    private static string IdOf(JsonElement? body) =>
        Text(body, "id") ?? throw new UnclearOutcomeException("The payment provider answered 201 without an id.");

    private static string? Text(JsonElement? body, string name) =>
        body is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static UnclearOutcomeException Unclear(string what, HttpResponseMessage answer, JsonElement? body) =>
        new($"The payment provider answered {(int)answer.StatusCode} to: {what}. {Text(body, "title") ?? Text(body, "message")}");

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
