using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.Redis;

/// <summary>
/// The connection of every redis component: the metadata fields and defaults of Dapr's common/component/redis, one multiplexed connection
/// instead of a pool. One server; clusters, sentinels and tokens of identity providers are refused.
/// </summary>
internal static class RedisConnection
{
    private const int DefaultPort = 6379;
    private static readonly TimeSpan DialTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    private static readonly string[] RefusedSwitches = ["failover", "useEntraID", "useAzureAD", "useOIDC"];

    private static readonly string[] RefusedTexts = ["sentinelMasterName", "sentinelUsername", "sentinelPassword"];

    /// <summary>
    /// About Dapr's pool and its retries. One connection needs no pool; and a command is never sent twice: repeated after a lost answer, a
    /// write that was done would look like a clash.
    /// </summary>
    private static readonly string[] WithoutEffect =
    [
        "redisMaxRetries", "redisMinRetryInterval", "redisMaxRetryInterval",
        "poolSize", "minIdleConns", "poolTimeout", "maxConnAge", "idleTimeout", "idleCheckFrequency",
    ];

    public static IReadOnlyList<string> ServerFields { get; } = ["redisHost"];

    /// <summary>Of identity providers, which are refused.</summary>
    public static IReadOnlyList<string> Absent { get; } =
    [
        .. IdentityProviders.Azure, "oidcTokenEndpoint", "oidcClientID", "oidcClientAssertionCert", "oidcClientAssertionKey", "oidcResource",
        "oidcAudience", "oidcKid", "oidcScopes", "oidcCACert",
    ];

    public static IReadOnlyList<string> Fields { get; } =
    [
        "redisHost", "redisPort", "redisUsername", "redisPassword", "redisDB", "redisType",
        "enableTLS", "insecureSkipTLSVerify", "clientCert", "clientKey", "dialTimeout", "readTimeout", "writeTimeout",
        .. WithoutEffect, .. RefusedSwitches, .. RefusedTexts,
    ];

    /// <exception cref="InvalidOperationException">The server does not answer, or refuses the user.</exception>
    public static Task<ConnectionMultiplexer> OpenAsync(ComponentMetadata metadata) => OpenAsync(Read(metadata));

    /// <exception cref="InvalidOperationException">The server does not answer, or refuses the user.</exception>
    public static async Task<ConnectionMultiplexer> OpenAsync(ConfigurationOptions options)
    {
        try
        {
            return await ConnectionMultiplexer.ConnectAsync(options);
        }
        catch (RedisConnectionException e)
        {
            throw new InvalidOperationException($"no Redis that takes us at {options.EndPoints[0]}: {e.Message}", e);
        }
    }

    public static ConfigurationOptions Read(ComponentMetadata metadata)
    {
        RefuseWhatIsMissing(metadata);
        var options = new ConfigurationOptions
        {
            EndPoints = { EndPoint(metadata) },
            User = NullIfEmpty(metadata.Text("redisUsername")),
            Password = NullIfEmpty(metadata.Text("redisPassword")),
            DefaultDatabase = metadata.Number("redisDB", 0),
            ConnectTimeout = Milliseconds(metadata, "dialTimeout", DialTimeout),
            ConnectRetry = 1,
            AsyncTimeout = Math.Max(Milliseconds(metadata, "readTimeout", ReadTimeout), Milliseconds(metadata, "writeTimeout", ReadTimeout)),
            // A command kept back until the server is there again would take effect long after its caller gave up.
            BacklogPolicy = BacklogPolicy.FailFast,
            ConfigurationChannel = "",
            TieBreaker = "",
            Ssl = metadata.Boolean("enableTLS", false),
            // For CONFIG and INFO, of which the client else knows nothing.
            AllowAdmin = true,
        };
        var anyCertificate = metadata.Boolean("insecureSkipTLSVerify", false);
        options.CertificateValidation += (_, _, _, errors) => anyCertificate || errors == SslPolicyErrors.None;
        if (ClientCertificate(metadata) is { } certificate)
            options.CertificateSelection += (_, _, _, _, _) => certificate;
        return options;
    }

    private static void RefuseWhatIsMissing(ComponentMetadata metadata)
    {
        if (!metadata.Text("redisType", "node").Equals("node", StringComparison.OrdinalIgnoreCase))
            throw metadata.Invalid("redisType", "node (this sidecar knows one Redis server, no cluster)");
        foreach (var name in RefusedSwitches)
        {
            if (metadata.Boolean(name, false))
                throw metadata.Invalid(name, "false (this sidecar knows one Redis server, no sentinel, and users with passwords only)");
        }

        foreach (var name in RefusedTexts)
        {
            if (metadata.Text(name) is { Length: > 0 })
                throw metadata.Invalid(name, "left out (this sidecar knows one Redis server, no sentinel)");
        }
    }

    private static string EndPoint(ComponentMetadata metadata)
    {
        var host = metadata.Required("redisHost").Trim();
        if (host.Contains(',', StringComparison.Ordinal))
            throw metadata.Invalid("redisHost", "one address (this sidecar knows one Redis server, no cluster)");

        var port = metadata.Number("redisPort", 0);
        var colon = host.LastIndexOf(':');
        var hasPort = colon > host.LastIndexOf(']') && (host[0] == '[' || host.IndexOf(':', StringComparison.Ordinal) == colon);
        if (!hasPort)
            return string.Create(CultureInfo.InvariantCulture, $"{host}:{(port == 0 ? DefaultPort : port)}");
        return port == 0 || host[(colon + 1)..] == port.ToString(CultureInfo.InvariantCulture)
            ? host
            : throw metadata.Invalid("redisPort", $"left out, or the port of redisHost ({host})");
    }

    /// <summary>Zero is the default, a negative number no limit (go-redis).</summary>
    private static int Milliseconds(ComponentMetadata metadata, string field, TimeSpan defaultValue)
    {
        var value = metadata.Duration(field, defaultValue, Millisecond);
        return value == TimeSpan.Zero ? (int)defaultValue.TotalMilliseconds
            : value < TimeSpan.Zero ? int.MaxValue
            : (int)Math.Min(value.TotalMilliseconds, int.MaxValue);
    }

    private static X509Certificate2? ClientCertificate(ComponentMetadata metadata) =>
        metadata.Text("clientCert") is { Length: > 0 } certificate && metadata.Text("clientKey") is { Length: > 0 } key
            ? X509Certificate2.CreateFromPem(certificate, key)
            : null;

    private static string? NullIfEmpty(string? text) => text is { Length: > 0 } ? text : null;
}
