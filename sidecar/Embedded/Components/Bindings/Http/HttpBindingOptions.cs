using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Bindings.Http;

/// <summary>The metadata of a bindings.http component.</summary>
/// <param name="Url">Where the paths of calls start; may be empty, until it is called.</param>
/// <param name="MustSucceed">An answer outside 2xx is an error.</param>
/// <param name="ResponseTimeout">Null: as long as it takes.</param>
/// <param name="MaxResponseBytes">What is beyond is cut off; 0 or less: nothing is.</param>
/// <param name="TokenHeader">A header that every call carries.</param>
/// <param name="Authorities">Whose certificates the server may show; null: those that the machine trusts.</param>
internal sealed record HttpBindingOptions(
    string Url,
    bool MustSucceed,
    TimeSpan? ResponseTimeout,
    long MaxResponseBytes,
    (string Name, string Value)? TokenHeader,
    X509Certificate2Collection? Authorities,
    X509Certificate2? ClientCertificate)
{
    public const string ErrorIfNot2XX = "errorIfNot2XX";

    private const string MaxResponseBodySize = "maxResponseBodySize";
    private const string RootCertificate = "MTLSRootCA";
    private const string ClientCert = "MTLSClientCert";
    private const string ClientKey = "MTLSClientKey";
    private const string Renegotiation = "MTLSRenegotiation";
    private const string DefaultMaxResponseBodySize = "100Mi";

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(15);

    public static IReadOnlyList<string> Fields { get; } =
    [
        "url", "responseTimeout", MaxResponseBodySize, RootCertificate, ClientCert, ClientKey, Renegotiation, "securityToken", "securityTokenHeader", ErrorIfNot2XX,
        BindingFields.Route, BindingFields.Direction,
    ];

    /// <exception cref="ResourceException"/>
    public static HttpBindingOptions Read(ComponentMetadata metadata)
    {
        if (metadata.Text(Renegotiation) is { Length: > 0 } and not ("RenegotiateNever" or "RenegotiateOnceAsClient" or "RenegotiateFreelyAsClient"))
            throw metadata.Invalid(Renegotiation, "RenegotiateNever, RenegotiateOnceAsClient or RenegotiateFreelyAsClient");
        if (!ByteQuantity.TryParse(metadata.Text(MaxResponseBodySize, DefaultMaxResponseBodySize).TrimStart('-'), out var maxBytes))
            throw metadata.Invalid(MaxResponseBodySize, "a size such as 100Mi");
        var timeout = metadata.Duration("responseTimeout", TimeSpan.Zero, TimeSpan.FromMilliseconds(1));
        return new(
            metadata.Text("url", ""),
            !metadata.TryGet(ErrorIfNot2XX, out var text) || text.Length == 0 || ComponentMetadata.IsTruthy(text),
            timeout > TimeSpan.Zero ? timeout : null,
            metadata.Text(MaxResponseBodySize) is ['-', ..] ? 0 : maxBytes,
            metadata.Text("securityTokenHeader") is { Length: > 0 } header && metadata.Text("securityToken") is { Length: > 0 } token ? (header, token) : null,
            ReadAuthorities(metadata),
            ReadClientCertificate(metadata));
    }

    public SocketsHttpHandler CreateHandler()
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.GZip,
            UseCookies = false,
            ConnectTimeout = ConnectTimeout,
            ActivityHeadersPropagator = null,
        };
        if (Authorities is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(Authorities);
            handler.SslOptions.CertificateChainPolicy = policy;
        }

        if (ClientCertificate is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(ClientCertificate, null);
        return handler;
    }

    private static X509Certificate2Collection? ReadAuthorities(ComponentMetadata metadata)
    {
        if (metadata.Text(RootCertificate) is not { Length: > 0 } given)
            return null;
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPem(Pem(metadata, RootCertificate, given));
        return authorities.Count > 0 ? authorities : throw metadata.Invalid(RootCertificate, "a certificate in PEM, or the path of its file");
    }

    private static X509Certificate2? ReadClientCertificate(ComponentMetadata metadata)
    {
        if (metadata.Text(ClientCert) is not { Length: > 0 } certificate || metadata.Text(ClientKey) is not { Length: > 0 } key)
            return null;
        try
        {
            using var read = X509Certificate2.CreateFromPem(Pem(metadata, ClientCert, certificate), Pem(metadata, ClientKey, key));
            // As such Windows cannot use its key.
            return X509CertificateLoader.LoadPkcs12(read.Export(X509ContentType.Pkcs12), null);
        }
        catch (CryptographicException e)
        {
            throw metadata.Invalid(ClientCert, $"a certificate in PEM with the key in {ClientKey} ({e.Message})");
        }
    }

    private static string Pem(ComponentMetadata metadata, string field, string given)
    {
        if (given.Contains("-----BEGIN ", StringComparison.Ordinal))
            return given;
        return File.Exists(given) ? File.ReadAllText(given) : throw metadata.Invalid(field, "in PEM, or the path of a file that is");
    }
}
