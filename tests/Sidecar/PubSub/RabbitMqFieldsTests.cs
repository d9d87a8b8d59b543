using EmbeddedSidecar.Components.PubSub.RabbitMq;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>The metadata of pubsub.rabbitmq, read as daprd reads them.</summary>
public sealed class RabbitMqFieldsTests
{
    [Theory]
    [InlineData("connectionString", "amqp://a%40b:c%2Fd@broker:1234/v%2F1", "broker:1234, virtual host v/1 as a@b with c/d")]
    [InlineData("connectionString", "amqp://broker", "broker:5672, virtual host / as guest with guest")]
    [InlineData("connectionString", "amqps://a@broker/", "broker:5671, virtual host / as a with guest")]
    [InlineData("connectionString", "amqp://[::1]:1/v", "::1:1, virtual host v as guest with guest")]
    [InlineData("host", "amqp://broker/v", "broker:5672, virtual host v as guest with guest")]
    [InlineData("hostname", "broker:1", "broker:1, virtual host / as guest with guest")]
    [InlineData("hostname", "broker", "broker:5671, virtual host / as a:b with c@d", "protocol", "amqps", "username", "a:b", "password", "c@d")]
    [InlineData("durable", "true", "localhost:5672, virtual host / as guest with guest")]
    public void Where_the_broker_is_and_who_we_are(string name, string value, string expected, params string[] more)
    {
        (string, string)[] others = [.. more.Chunk(2).Select(field => (field[0], field[1]))];

        var factory = RabbitMqConnection.Read(RabbitMqPubSubTests.Metadata([(name, value), .. others]), NullLogger.Instance);

        Assert.Equal(expected, $"{RabbitMqConnection.Describe(factory)} as {factory.UserName} with {factory.Password}");
    }

    [Theory]
    [InlineData("connectionString", "http://broker")]
    [InlineData("connectionString", "broker:5672")]
    [InlineData("connectionString", "amqp://broker?heartbeat=5")]
    [InlineData("protocol", "amqps", "connectionString", "amqp://broker")]
    [InlineData("protocol", "http")]
    [InlineData("hostname", "a b")]
    [InlineData("caCert", "no PEM", "protocol", "amqps")]
    [InlineData("saslExternal", "true", "protocol", "amqps")]
    [InlineData("heartBeat", "often")]
    public void What_leads_to_no_broker_is_refused_with_its_place(string name, string value, params string[] more)
    {
        (string, string)[] others = [.. more.Chunk(2).Select(field => (field[0], field[1]))];

        var refused = Assert.Throws<ResourceException>(
            () => RabbitMqConnection.Read(RabbitMqPubSubTests.Metadata([(name, value), .. others]), NullLogger.Instance));

        Assert.Contains($"'{name}'", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("deliveryMode", "3")]
    [InlineData("prefetchCount", "256")]
    [InlineData("prefetchCount", "-1")]
    [InlineData("maxLen", "many")]
    [InlineData("exchangeKind", "x-delayed-message")]
    [InlineData("concurrencyMode", "double")]
    [InlineData("durable", "perhaps")]
    [InlineData("reconnectWaitSeconds", "-1")]
    [InlineData("ttlInSeconds", "-1")]
    [InlineData("ttl", "soon")]
    [InlineData("ttlInSeconds", "5000000")]
    public void A_value_that_makes_no_sense_is_refused(string name, string value)
    {
        var refused = Assert.Throws<ResourceException>(() => RabbitMqPubSubOptions.Read(RabbitMqPubSubTests.Metadata((name, value)), NullLogger.Instance));

        Assert.Contains($"'{name}'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_said_is_as_on_daprd()
    {
        var options = RabbitMqPubSubOptions.Read(RabbitMqPubSubTests.Metadata(), NullLogger.Instance);

        Assert.Equal(new RabbitMqPubSubOptions(), options);
        Assert.True(options is { Durable: true, DeletedWhenUnused: true, AutoAck: false, RequeueInFailure: false, Persistent: false, PublisherConfirm: false });
        Assert.True(options is { PrefetchCount: 0, MaxLength: 0, DeadLetters: false, OneByOne: false, TimeToLive: null, ExchangeKind: "fanout" });
        Assert.Equal(TimeSpan.FromSeconds(3), options.ReconnectWait);
    }

    [Fact]
    public void Concurrency_does_nothing_and_plain_numbers_are_seconds_as_on_daprd()
    {
        var options = RabbitMqPubSubOptions.Read(
            RabbitMqPubSubTests.Metadata(
                ("concurrency", "single"), ("reconnectWaitSeconds", "2"), ("ttlInSeconds", "3"), ("deliveryMode", "2"), ("prefetchCount", "255")),
            NullLogger.Instance);

        Assert.Equal(
            new RabbitMqPubSubOptions { ReconnectWait = TimeSpan.FromSeconds(2), TimeToLive = TimeSpan.FromSeconds(3), Persistent = true, PrefetchCount = 255 },
            options);
    }
}
