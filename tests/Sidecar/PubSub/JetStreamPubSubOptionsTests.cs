using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub.JetStream;
using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.JetStream.Models;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>The metadata of pubsub.jetstream, as Dapr reads them.</summary>
public sealed class JetStreamPubSubOptionsTests
{
    [Fact]
    public void What_is_not_given_is_left_to_the_server()
    {
        var options = Read();

        Assert.Equal("dapr.io - pubsub.jetstream", options.Connection.Name);
        Assert.True(options.Connection.AuthOpts.IsAnonymous);
        Assert.Equal(
            new ConsumerConfig { DeliverPolicy = ConsumerConfigDeliverPolicy.All, AckPolicy = ConsumerConfigAckPolicy.Explicit }, options.Consumer);
        Assert.Equal((null, null, false), (options.ApiPrefix, options.StreamName, options.IsParallel));
    }

    [Theory]
    [InlineData("1m30s", 90)]
    [InlineData("40", 40)]
    public void A_plain_number_is_seconds(string value, int seconds)
    {
        var options = Read(("ackWait", value), ("heartbeat", value), ("backOff", $"{value},1s"));

        Assert.Equal(TimeSpan.FromSeconds(seconds), options.Consumer.AckWait);
        Assert.Equal(TimeSpan.FromSeconds(seconds), options.Consumer.IdleHeartbeat);
        Assert.Equal([TimeSpan.FromSeconds(seconds), TimeSpan.FromSeconds(1)], options.Consumer.Backoff!);
    }

    [Fact]
    public void Of_several_ways_to_tell_who_we_are_the_first_counts()
    {
        (string, string)[] token = [("token", "t")];
        (string, string)[] certificate = [("tls_client_cert", "a.crt"), ("tls_client_key", "a.key"), .. token];
        (string, string)[] jwt = [("jwt", "j"), ("seedKey", "s"), .. certificate];

        Assert.Equal("t", Read(token).Connection.AuthOpts.Token);
        Assert.Equal(("a.crt", "a.key", null), (Read(certificate).Connection.TlsOpts.CertFile, Read(certificate).Connection.TlsOpts.KeyFile, Read(certificate).Connection.AuthOpts.Token));
        Assert.Equal(("j", "s", null), (Read(jwt).Connection.AuthOpts.Jwt, Read(jwt).Connection.AuthOpts.Seed, Read(jwt).Connection.TlsOpts.CertFile));
    }

    [Theory]
    [InlineData("domain", "hub", "$JS.hub.API")]
    [InlineData("apiPrefix", "acme.api.", "acme.api")]
    public void Requests_go_to_the_domain_or_the_prefix(string field, string value, string prefix) =>
        Assert.Equal(prefix, Read((field, value)).ApiPrefix);

    [Theory]
    [InlineData(true, "concurrency", "parallel")]
    [InlineData(true, "concurrencyMode", "parallel", "concurrency", "single")]
    [InlineData(false, "concurrencyMode", "single", "concurrency", "parallel")]
    public void Concurrency_mode_counts_before_concurrency(bool parallel, params string[] fields) =>
        Assert.Equal(parallel, Read([.. fields.Chunk(2).Select(pair => (pair[0], pair[1]))]).IsParallel);

    [Fact]
    public void A_time_to_start_from_is_in_seconds_since_1970()
    {
        var consumer = Read(("deliverPolicy", "time"), ("startTime", "1640995200")).Consumer;

        Assert.Equal(new DateTimeOffset(2022, 1, 1, 0, 0, 0, TimeSpan.Zero), consumer.OptStartTime);
        Assert.Equal(ConsumerConfigDeliverPolicy.ByStartTime, consumer.DeliverPolicy);
    }

    [Theory]
    [InlineData("'seedKey' must be given together with jwt", "jwt", "j")]
    [InlineData("'jwt' must be given together with seedKey", "seedKey", "s")]
    [InlineData("'tls_client_key' must be given together with tls_client_cert", "tls_client_cert", "c")]
    [InlineData("'deliverPolicy' must be all, last, new, sequence or time", "deliverPolicy", "first")]
    [InlineData("'ackPolicy' must be explicit, all or none", "ackPolicy", "sometimes")]
    [InlineData("'concurrencyMode' must be single or parallel", "concurrencyMode", "Parallel")]
    [InlineData("'backOff' must be durations", "backOff", "[1s, 2s]")]
    [InlineData("'startSequence' must be a whole number, not negative", "startSequence", "-1")]
    [InlineData("'flowControl' must be given together with heartbeat", "flowControl", "true")]
    public void What_cannot_be_served_is_refused_and_told(string told, string field, string value) =>
        Assert.Contains(told, Assert.Throws<ResourceException>(() => Read((field, value))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("every start of a sidecar", "durableName", "")]
    [InlineData("only one replica can subscribe", "queueGroupName", "")]
    [InlineData("is lost", "ackPolicy", "none")]
    [InlineData("what failed is acknowledged together with what comes after it", "ackPolicy", "all")]
    public async Task What_loses_or_repeats_is_warned_of(string warning, string field, string value)
    {
        var log = new WrittenLog();
        (string, string)[] fields = [("durableName", "app"), ("queueGroupName", "app")];

        JetStreamPubSubOptions.Read(Metadata([.. fields.Where(one => one.Item1 != field), (field, value)]), log);

        await log.WaitFor(warning);
    }

    private static JetStreamPubSubOptions Read(params (string, string)[] fields) => JetStreamPubSubOptions.Read(Metadata(fields), NullLogger.Instance);

    private static ComponentMetadata Metadata(params (string, string)[] fields) =>
        BrokerTests.Metadata("pubsub.jetstream", [("natsURL", "nats://localhost:4222"), .. fields]);
}
