using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>
/// Where Kafka is and who we are, as the metadata of <c>pubsub.kafka</c> says it (components-contrib, common/component/kafka/metadata.go and auth.go).
/// </summary>
internal static class KafkaConnection
{
    private const string AuthType = "authType";
    private const string AuthRequired = "authRequired";
    private const string SaslPassword = "saslPassword";
    private const string ClientCertificate = "clientCert";
    private const string ClientKey = "clientKey";
    private const string CaCertificate = "caCert";

    /// <summary>daprd's client says so by itself.</summary>
    private const string DefaultClientId = "sarama";

    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Below the 9 minutes after which Kafka closes a connection that nobody uses.</summary>
    private static readonly TimeSpan DefaultRefreshInterval = TimeSpan.FromMinutes(8);

    public static IReadOnlyList<string> Fields { get; } =
    [
        "brokers", AuthType, AuthRequired, "saslUsername", SaslPassword, "saslMechanism", CaCertificate, ClientCertificate, ClientKey, "skipVerify", "disableTls",
        "clientID", "dialTimeout", "readTimeout", "writeTimeout", "metadataTimeout", "clientConnectionTopicMetadataRefreshInterval",
        "clientConnectionKeepAliveInterval",
    ];

    public static ClientConfig Read(ComponentMetadata metadata)
    {
        var config = new ClientConfig
        {
            BootstrapServers = metadata.Required("brokers"),
            ClientId = metadata.Text("clientID", DefaultClientId),
            SocketConnectionSetupTimeoutMs = Milliseconds(metadata, "dialTimeout", DefaultTimeout),
            // One time for both here.
            SocketTimeoutMs = Math.Max(Milliseconds(metadata, "readTimeout", DefaultTimeout), Milliseconds(metadata, "writeTimeout", DefaultTimeout)),
            TopicMetadataRefreshIntervalMs = Milliseconds(metadata, "clientConnectionTopicMetadataRefreshInterval", DefaultRefreshInterval),
            SocketKeepaliveEnable = metadata.Duration("clientConnectionKeepAliveInterval", TimeSpan.Zero, Second) > TimeSpan.Zero,
            ReconnectBackoffMs = 100,
            ReconnectBackoffMaxMs = 1000,
        };
        ReadAuthentication(metadata, config);
        return config;
    }

    private static TimeSpan Second => TimeSpan.FromSeconds(1);

    private static void ReadAuthentication(ComponentMetadata metadata, ClientConfig config)
    {
        var type = TypeOf(metadata);
        var isPlain = type == "none" || metadata.Boolean("disableTls", false);
        if (!isPlain)
            ReadTls(metadata, config);
        config.SecurityProtocol = isPlain ? SecurityProtocol.Plaintext : SecurityProtocol.Ssl;
        switch (type)
        {
            case "none":
                break;
            case "certificate":
                if (string.IsNullOrEmpty(metadata.Text(CaCertificate)))
                    throw metadata.Invalid(CaCertificate, "given with authType certificate");
                break;
            case "mtls":
                if (isPlain)
                    throw metadata.Invalid("disableTls", "false with authType mtls");
                config.SslCertificatePem = Pem(metadata, ClientCertificate) ?? throw metadata.Invalid(ClientCertificate, "given with authType mtls");
                config.SslKeyPem = Pem(metadata, ClientKey) ?? throw metadata.Invalid(ClientKey, "given with authType mtls");
                break;
            case "password":
                config.SecurityProtocol = isPlain ? SecurityProtocol.SaslPlaintext : SecurityProtocol.SaslSsl;
                config.SaslUsername = metadata.Required("saslUsername");
                config.SaslPassword = metadata.Required(SaslPassword);
                config.SaslMechanism = metadata.Text("saslMechanism") switch
                {
                    "SHA-256" => SaslMechanism.ScramSha256,
                    "SHA-512" => SaslMechanism.ScramSha512,
                    _ => SaslMechanism.Plain,
                };
                break;
            default:
                throw metadata.Invalid(AuthType, "none, password, mtls or certificate (oidc, oidc_private_key_jwt and awsiam are not in the embedded sidecar)");
        }
    }

    /// <summary>authRequired is daprd's old word for it.</summary>
    private static string TypeOf(ComponentMetadata metadata)
    {
        if (metadata.Text(AuthType) is { Length: > 0 } type)
            return type.ToLowerInvariant();
        if (metadata.Text(AuthRequired) is not { Length: > 0 })
            return metadata.Required(AuthType);
        return !metadata.Boolean(AuthRequired, false) ? "none"
            : metadata.Text(SaslPassword) is { Length: > 0 } ? "password"
            : "mtls";
    }

    private static void ReadTls(ComponentMetadata metadata, ClientConfig config)
    {
        config.SslCaPem = Pem(metadata, CaCertificate);
        config.EnableSslCertificateVerification = !metadata.Boolean("skipVerify", false);
    }

    private static string? Pem(ComponentMetadata metadata, string field) => metadata.Text(field) switch
    {
        null or "" => null,
        var text when text.Contains("-----BEGIN", StringComparison.Ordinal) => text,
        _ => throw metadata.Invalid(field, "the text of a PEM file"),
    };

    /// <summary>What makes no sense is the default, as on daprd.</summary>
    private static int Milliseconds(ComponentMetadata metadata, string field, TimeSpan defaultValue)
    {
        var time = metadata.Duration(field, defaultValue, Second);
        return (int)Math.Min((time > TimeSpan.Zero ? time : defaultValue).TotalMilliseconds, int.MaxValue);
    }
}
