using Confluent.Kafka;
using EmbeddedSidecar.Components.PubSub.Kafka;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>The metadata of pubsub.kafka, as Dapr reads them.</summary>
public sealed class KafkaPubSubOptionsTests
{
    private const string Pem = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----";

    [Fact]
    public void What_is_not_given_is_as_on_daprd()
    {
        var options = Read();

        Assert.Equal(
            (null, 256, true, TimeSpan.FromSeconds(5), -1, TimeSpan.FromMilliseconds(100), false),
            (options.Group, options.Buffer, options.Retries, options.RetryWait, options.MaxRetries, options.ReopenWait, options.EscapesHeaders));
        Assert.Equal(
            ("localhost:9092", "sarama", Acks.All, true, CompressionType.None, "fnv1a_random", SecurityProtocol.Plaintext),
            (options.Producer.BootstrapServers, options.Producer.ClientId, options.Producer.Acks, options.Producer.EnableIdempotence, options.Producer.CompressionType,
                options.Producer.Get("partitioner"), options.Producer.SecurityProtocol));
        Assert.Equal(
            (AutoOffsetReset.Latest, 3000, 10_000, 1, 1024 * 1024, PartitionAssignmentStrategy.Range, 30_000),
            (options.Consumer.AutoOffsetReset, options.Consumer.HeartbeatIntervalMs, options.Consumer.SessionTimeoutMs, options.Consumer.FetchMinBytes,
                options.Consumer.MaxPartitionFetchBytes, options.Consumer.PartitionAssignmentStrategy, options.Consumer.SocketConnectionSetupTimeoutMs));
    }

    [Fact]
    public void Only_what_was_handled_is_committed()
    {
        var consumer = Read().Consumer;

        Assert.Equal((true, false), (consumer.EnableAutoCommit, consumer.EnableAutoOffsetStore));
    }

    [Theory]
    [InlineData("SHA-256", SaslMechanism.ScramSha256)]
    [InlineData("SHA-512", SaslMechanism.ScramSha512)]
    [InlineData("PLAINTEXT", SaslMechanism.Plain)]
    public void A_password_is_told_over_tls_unless_it_is_disabled(string mechanism, SaslMechanism expected)
    {
        (string, string)[] password = [("authType", "password"), ("saslUsername", "u"), ("saslPassword", "p"), ("saslMechanism", mechanism)];

        var producer = Read(password).Producer;

        Assert.Equal((SecurityProtocol.SaslSsl, expected, "u", "p"), (producer.SecurityProtocol, producer.SaslMechanism, producer.SaslUsername, producer.SaslPassword));
        Assert.Equal(SecurityProtocol.SaslPlaintext, Read([.. password, ("disableTls", "true")]).Producer.SecurityProtocol);
    }

    [Fact]
    public void Certificates_are_texts_and_the_servers_may_be_taken_unseen()
    {
        var mtls = Read(("authType", "mtls"), ("caCert", Pem), ("clientCert", Pem), ("clientKey", Pem)).Consumer;
        var certificate = Read(("authType", "certificate"), ("caCert", Pem), ("skipVerify", "true")).Consumer;

        Assert.Equal((SecurityProtocol.Ssl, Pem, Pem, Pem, true), (mtls.SecurityProtocol, mtls.SslCaPem, mtls.SslCertificatePem, mtls.SslKeyPem, mtls.EnableSslCertificateVerification));
        Assert.Equal((SecurityProtocol.Ssl, false), (certificate.SecurityProtocol, certificate.EnableSslCertificateVerification));
    }

    [Theory]
    [InlineData("false", SecurityProtocol.Plaintext)]
    [InlineData("true", SecurityProtocol.SaslSsl)]
    public void The_old_auth_required_counts_where_auth_type_is_not_given(string required, SecurityProtocol expected) =>
        Assert.Equal(expected, Read(("authType", ""), ("authRequired", required), ("saslUsername", "u"), ("saslPassword", "p")).Producer.SecurityProtocol);

    [Fact]
    public void Idempotent_only_where_all_replicas_confirm() =>
        Assert.Equal((Acks.Leader, false), (Read(("producerRequiredAcks", "local")).Producer.Acks, Read(("producerRequiredAcks", "local")).Producer.EnableIdempotence));

    [Theory]
    [InlineData("authType", "", "is required")]
    [InlineData("authType", "oidc", "none, password, mtls or certificate")]
    [InlineData("authType", "mtls", "given with authType mtls")]
    [InlineData("authType", "certificate", "given with authType certificate")]
    [InlineData("authType", "password", "'saslUsername' is required")]
    [InlineData("brokers", "", "is required")]
    [InlineData("caCert", "ca.pem", "the text of a PEM file", "authType", "certificate")]
    [InlineData("initialOffset", "first", "newest or oldest")]
    [InlineData("producerRequiredAcks", "two", "all, local or none")]
    [InlineData("compression", "zip", "none, gzip, snappy, lz4 or zstd")]
    [InlineData("maxMessageBytes", "99999999", "at most")]
    [InlineData("version", "new", "that of Kafka's protocol")]
    [InlineData("schemaRegistryURL", "http://localhost:8081", "no Avro")]
    [InlineData("excludeHeaderMetaRegex", "(", "a regular expression")]
    [InlineData("backOffPolicy", "exponential", "constant")]
    [InlineData("channelBufferSize", "0", "1 or more")]
    public void What_makes_no_sense_is_refused_at_the_start(string field, string value, string reason, params string[] others)
    {
        var refused = Assert.Throws<ResourceException>(() => Read([(field, value), .. others.Chunk(2).Select(pair => (pair[0], pair[1]))]));

        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    private static KafkaPubSubOptions Read(params (string Name, string Value)[] fields)
    {
        (string Name, string Value)[] own = [("brokers", "localhost:9092"), ("authType", "none")];
        return KafkaPubSubOptions.Read(
            BrokerTests.Metadata("pubsub.kafka", [.. own.Where(field => fields.All(one => one.Name != field.Name)), .. fields]), NullLogger.Instance);
    }
}
