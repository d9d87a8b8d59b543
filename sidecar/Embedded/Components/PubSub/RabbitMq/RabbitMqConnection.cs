using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>Where RabbitMQ is and who we are, as the metadata of <c>pubsub.rabbitmq</c> says it (components-contrib, pubsub/rabbitmq/metadata.go).</summary>
internal static class RabbitMqConnection
{
    private const string Amqp = "amqp";
    private const string Amqps = "amqps";
    private const string ConnectionString = "connectionString";

    /// <summary>daprd's old name of it.</summary>
    private const string Host = "host";

    private static readonly TimeSpan DialTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DefaultHeartbeat = TimeSpan.FromSeconds(10);

    public static IReadOnlyList<string> Fields { get; } =
    [
        ConnectionString, Host, "protocol", "hostname", "username", "password", "caCert", "clientCert", "clientKey", "saslExternal", "clientName", "heartBeat",
    ];

    /// <summary>
    /// The client's own recovery is off: whoever needs a lost connection opens it anew (<see cref="Reopened{T}"/>), as it must be done for what that
    /// recovery leaves, lost channels and cancelled consumers.
    /// </summary>
    public static ConnectionFactory Read(ComponentMetadata metadata, ILogger logger)
    {
        var address = Address(metadata, logger);
        var factory = new ConnectionFactory
        {
            HostName = address.Host.Trim('[', ']'),
            Port = address.Port,
            UserName = ConnectionFactory.DefaultUser,
            Password = ConnectionFactory.DefaultPass,
            ClientProvidedName = metadata.Text("clientName") is { Length: > 0 } name ? name : null,
            RequestedHeartbeat = metadata.Duration("heartBeat", DefaultHeartbeat, TimeSpan.FromSeconds(1)),
            RequestedConnectionTimeout = DialTimeout,
            AutomaticRecoveryEnabled = false,
        };
        if (address.UserInfo.Length > 0)
        {
            var user = address.UserInfo.Split(':', 2);
            factory.UserName = Uri.UnescapeDataString(user[0]);
            if (user.Length > 1)
                factory.Password = Uri.UnescapeDataString(user[1]);
        }

        if (address.AbsolutePath.Length > 1)
            factory.VirtualHost = Uri.UnescapeDataString(address.AbsolutePath[1..]);
        ReadTls(metadata, address, factory);
        return factory;
    }

    /// <summary>As people write it, without what is nobody's business.</summary>
    public static string Describe(ConnectionFactory factory) =>
        string.Create(CultureInfo.InvariantCulture, $"{factory.HostName}:{factory.Port}, virtual host {factory.VirtualHost}");

    private static Uri Address(ComponentMetadata metadata, ILogger logger)
    {
        var field = ConnectionString;
        var text = metadata.Text(field);
        if (string.IsNullOrEmpty(text) && metadata.Text(Host) is { Length: > 0 } host)
        {
            (field, text) = (Host, host);
            logger.LogWarning("{Location}: host is the old name of connectionString", metadata.LocationOf(Host));
        }

        var protocol = metadata.Text("protocol");
        if (string.IsNullOrEmpty(text))
            return Address(metadata, string.IsNullOrEmpty(protocol) ? Amqp : protocol);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address.Scheme is not (Amqp or Amqps) || address.Host.Length == 0)
            throw metadata.Invalid(field, "amqp://[user[:password]@]host[:port][/virtual host], or amqps://...");
        if (address.Query.Length > 0)
            throw metadata.Invalid(field, "without a query: what daprd takes there has fields of its own (heartBeat, caCert, clientCert, clientKey)");
        return string.IsNullOrEmpty(protocol) || protocol == address.Scheme
            ? WithPort(address)
            : throw metadata.Invalid("protocol", $"left out, or that of {field} ({address.Scheme})");
    }

    private static Uri Address(ComponentMetadata metadata, string protocol)
    {
        if (protocol is not (Amqp or Amqps))
            throw metadata.Invalid("protocol", "amqp or amqps");
        var (user, password) = (metadata.Text("username", ""), metadata.Text("password", ""));
        var userInfo = user.Length == 0 ? ""
            : password.Length == 0 ? Uri.EscapeDataString(user) + "@"
            : $"{Uri.EscapeDataString(user)}:{Uri.EscapeDataString(password)}@";
        return Uri.TryCreate($"{protocol}://{userInfo}{metadata.Text("hostname", "localhost")}", UriKind.Absolute, out var address) && address.Host.Length > 0
            ? WithPort(address)
            : throw metadata.Invalid("hostname", "a host name or address, with a port behind a colon unless it is the usual one");
    }

    private static Uri WithPort(Uri address) => address.Port > 0
        ? address
        : new UriBuilder(address) { Port = address.Scheme == Amqps ? AmqpTcpEndpoint.DefaultAmqpSslPort : Protocols.DefaultProtocol.DefaultPort }.Uri;

    private static void ReadTls(ComponentMetadata metadata, Uri address, ConnectionFactory factory)
    {
        var authority = Certificates(metadata, "caCert");
        var certificate = ClientCertificate(metadata);
        var isExternal = metadata.Boolean("saslExternal", false);
        if (isExternal && (address.Scheme != Amqps || authority is null || certificate is null))
            throw metadata.Invalid("saslExternal", "false, unless the protocol is amqps and caCert, clientCert and clientKey are given");
        if (isExternal)
            factory.AuthMechanisms = [new ExternalMechanismFactory()];
        if (address.Scheme != Amqps)
            return;
        factory.Ssl = new SslOption(factory.HostName, enabled: true)
        {
            Certs = certificate is null ? null : [certificate],
            CertificateValidationCallback = (_, presented, chain, errors) => IsTrusted(authority, presented, chain, errors),
        };
    }

    /// <summary>With an authority of one's own nobody else's word counts.</summary>
    private static bool IsTrusted(X509Certificate2Collection? authority, X509Certificate? presented, X509Chain? sent, SslPolicyErrors errors)
    {
        if (authority is null || presented is null)
            return errors == SslPolicyErrors.None;
        if ((errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
            return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.CustomTrustStore.AddRange(authority);
        if (sent is not null)
            chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        using var leaf = new X509Certificate2(presented);
        return chain.Build(leaf);
    }

    private static X509Certificate2Collection? Certificates(ComponentMetadata metadata, string field)
    {
        if (metadata.Text(field) is not { Length: > 0 } text)
            return null;
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPem(text);
        return certificates.Count > 0 ? certificates : throw metadata.Invalid(field, "a certificate in PEM");
    }

    private static X509Certificate2? ClientCertificate(ComponentMetadata metadata)
    {
        if (metadata.Text("clientCert") is not { Length: > 0 } certificate || metadata.Text("clientKey") is not { Length: > 0 } key)
            return null;
        using var read = X509Certificate2.CreateFromPem(certificate, key);
        // As such Windows cannot use its key.
        return X509CertificateLoader.LoadPkcs12(read.Export(X509ContentType.Pkcs12), null);
    }
}
