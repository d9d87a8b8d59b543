using Dapr;
using Dapr.Client;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Access;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;
using Moq;

namespace DaprOrders.ServiceDefaults.Tests.Access;

/// <summary>The keys that events are signed by may be kept in any Dapr secret store.</summary>
public sealed class SigningKeySecretTests
{
    private const string Key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    private readonly Mock<DaprClient> _dapr = new();
    private readonly FakeTimeProvider _time = new();

    private int _asked;

    [Fact]
    public async Task Given_no_such_setting_then_no_sidecar_is_asked() =>
        Assert.Null(await KeyOfAsync(Settings()));

    [Theory]
    [InlineData("events-signing-key")]
    [InlineData("EVENTS_SIGNING_KEY", "something-else")]
    public async Task The_only_value_of_the_secret_is_the_key_or_else_the_one_of_the_settings_name(params string[] names)
    {
        Answer(names.ToDictionary(name => name, name => name == names[0] ? Key : "other"));

        Assert.Equal(Key, await KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"))));
    }

    [Fact]
    public async Task A_sidecar_that_is_not_ready_yet_or_refuses_once_is_asked_again()
    {
        Answer(new() { ["orders"] = Key }, readyAtQuestion: 3, refusing: 4);

        Assert.Equal(Key, await KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"))));
    }

    [Fact]
    public async Task A_secret_that_nobody_tells_ends_the_start_with_the_reason()
    {
        Answer([], refusing: int.MaxValue);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"))));

        Assert.StartsWith("EVENTS_SIGNING_KEY_SECRET: secret orders of vault could not be read within 60 s. Expected ", refused.Message, StringComparison.Ordinal);
        Assert.IsType<DaprException>(refused.InnerException);
    }

    [Theory]
    [InlineData("vault")]
    [InlineData("/orders")]
    [InlineData("vault/")]
    public async Task A_setting_that_names_no_store_or_no_secret_is_refused(string setting)
    {
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", setting))));

        Assert.StartsWith($"EVENTS_SIGNING_KEY_SECRET is '{setting}'; expected ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_in_two_places_is_refused() =>
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
            KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"), ("EVENTS_SIGNING_KEY", Key))));

    [Fact]
    public async Task A_secret_with_several_values_none_of_which_is_the_key_is_refused()
    {
        Answer(new() { ["one"] = Key, ["two"] = Key });

        await Assert.ThrowsAsync<InvalidOperationException>(() => KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"))));
    }

    [Fact]
    public async Task An_empty_secret_does_not_switch_signing_off()
    {
        Answer(new() { ["orders"] = "" });

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => KeyOfAsync(Settings(("EVENTS_SIGNING_KEY_SECRET", "vault/orders"))));

        Assert.StartsWith("EVENTS_SIGNING_KEY_SECRET: secret orders of vault is empty; expected ", refused.Message, StringComparison.Ordinal);
    }

    private static ConfigurationManager Settings(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationManager();
        foreach (var (key, value) in settings)
            configuration[key] = value;
        return configuration;
    }

    private void Answer(Dictionary<string, string> secret, int readyAtQuestion = 1, int refusing = 0)
    {
        _dapr.Setup(dapr => dapr.CheckOutboundHealthAsync(It.IsAny<CancellationToken>())).ReturnsAsync(() => ++_asked >= readyAtQuestion);
        _dapr.Setup(dapr => dapr.GetSecretAsync("vault", "orders", It.IsAny<IReadOnlyDictionary<string, string>>(), It.IsAny<CancellationToken>()))
            .Returns(() => _asked <= refusing ? throw new DaprException("The secret store is not there.") : Task.FromResult(secret));
    }

    private async Task<string?> KeyOfAsync(ConfigurationManager settings)
    {
        var reading = SigningKeySecret.AddToAsync(settings, () => _dapr.Object, _time);
        while (!reading.IsCompleted)
            _time.Advance(TimeSpan.FromMilliseconds(500));

        await reading;
        return settings[EventSigning.Setting];
    }
}
