using System.Collections.Concurrent;

namespace DaprOrders.PaymentProvider;

/// <summary>The test tokens of the company: each chooses how a charge behaves. There is no card data here or anywhere else.</summary>
public static class PaymentMethods
{
    public const string Ok = "pm_card_ok";

    /// <summary>402 with the code card_declined.</summary>
    public const string Declined = "pm_card_declined";

    /// <summary>Two 503 for each Idempotency-Key (each reference when there is none), then ok.</summary>
    public const string Flaky = "pm_flaky";

    /// <summary>Charges at once, answers after 3 s.</summary>
    public const string Slow = "pm_slow";

    /// <summary>Charges, but the call is never answered; a second call with the same Idempotency-Key is.</summary>
    public const string NeverAnswers = "pm_timeout";

    public static readonly TimeSpan SlowAnswer = TimeSpan.FromSeconds(3);

    public static bool Exists(string paymentMethod) => paymentMethod is Ok or Declined or Flaky or Slow or NeverAnswers;
}

/// <summary>Counts the calls that pm_flaky has failed. A restart forgets it: then the caller just meets two more 503.</summary>
public sealed class Flakiness
{
    private const int Failures = 2;
    private readonly ConcurrentDictionary<string, int> _failed = new();

    public bool Fails(string key)
    {
        if (_failed.AddOrUpdate(key, 1, (_, failed) => failed + 1) <= Failures)
        {
            return true;
        }

        _failed.TryRemove(key, out _);
        return false;
    }
}
