using Dapr;
using Dapr.Client;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>The keys that events are signed by, kept in a Dapr secret store instead of the process's settings.</summary>
internal static class SigningKeySecret
{
    /// <summary>The setting: <c>{secret store}/{secret}</c>, instead of <see cref="EventSigning.Setting"/>.</summary>
    public const string Setting = "EVENTS_SIGNING_KEY_SECRET";

    /// <summary>An application starts before or with its sidecar, whose outbound calls work once its components are loaded.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Puts what the secret holds where <see cref="EventSigning.From"/> looks.</summary>
    /// <exception cref="InvalidOperationException">There is no such secret, or nobody who says what it is.</exception>
    public static async Task AddToAsync(IConfiguration configuration, Func<DaprClient> connect, TimeProvider time)
    {
        if (configuration[Setting] is not { Length: > 0 } setting)
            return;
        if (configuration[EventSigning.Setting] is { Length: > 0 })
            throw new InvalidOperationException($"{EventSigning.Setting} and {Setting} are both set; expected one of them.");
        if (setting.Split('/', 2) is not [{ Length: > 0 } store, { Length: > 0 } name])
            throw new InvalidOperationException($"{Setting} is '{setting}'; expected the name of a Dapr secret store and that of a secret, as in 'secretstore/events-signing-key'.");

        using var dapr = connect();
        var secret = await ReadAsync(dapr, store, name, time);
        var key = secret.Count == 1 ? secret.Values.Single()
            : secret.GetValueOrDefault(EventSigning.Setting) ?? throw new InvalidOperationException(
                $"Secret {name} of {store} has {secret.Count} values; expected a single one, or one that is named {EventSigning.Setting}.");
        // A store may say of a secret that does not exist that it is empty (secretstores.local.env): without a key nothing would be signed.
        configuration[EventSigning.Setting] = !string.IsNullOrWhiteSpace(key) ? key
            : throw new InvalidOperationException($"{Setting}: secret {name} of {store} is empty; expected one or more keys in base64, separated by commas.");
    }

    private static async Task<Dictionary<string, string>> ReadAsync(DaprClient dapr, string store, string name, TimeProvider time)
    {
        using var patience = new CancellationTokenSource(LongestWait, time);
        Exception? last = null;
        try
        {
            while (true)
            {
                try
                {
                    if (await dapr.CheckOutboundHealthAsync(patience.Token))
                        return await dapr.GetSecretAsync(store, name, cancellationToken: patience.Token);
                }
                catch (DaprException e)
                {
                    last = e;
                }

                await Task.Delay(Pause, time, patience.Token);
            }
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            throw new InvalidOperationException(
                $"{Setting}: secret {name} of {store} could not be read within {LongestWait.TotalSeconds:N0} s. Expected a running sidecar "
                + "with a secret store of this name that is in this application's scopes.",
                last);
        }
    }
}
