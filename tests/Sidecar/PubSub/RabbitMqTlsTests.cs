using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>amqps: a real RabbitMQ behind a listener that speaks TLS for it.</summary>
public sealed class RabbitMqTlsTests(StoreServers servers) : IClassFixture<StoreServers>
{
    [Fact]
    public async Task A_broker_is_believed_by_the_authority_that_is_given_and_sees_who_we_are()
    {
        ServerProgram.Require(RabbitMqServer.Missing);
        var server = await servers.RabbitMqAsync();
        using var authority = Authority("ours");
        using var client = Issue(authority, "CN=client");
        await using var listener = new TlsListener(server.Port, Issue(authority, "CN=localhost"));
        var address = $"amqps://guest:guest@localhost:{listener.Port}/{server.NewVirtualHost()}";
        (string, string)[] fields =
        [
            ("caCert", authority.ExportCertificatePem()), ("clientCert", client.ExportCertificatePem()),
            ("clientKey", client.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem()),
        ];

        await using var broker = await RabbitMqPubSubTests.OpenAsync(address, fields);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(RabbitMqPubSubTests.Subscription("one"), handler.Handle, TestContext.Current.CancellationToken);
        await broker.PublishAsync("orders", RabbitMqPubSubTests.Message("1"), TestContext.Current.CancellationToken);

        Assert.Equal(["1"], await handler.WaitFor(1));
        Assert.Equal("CN=client", listener.Client);
        // The broker behind the listener knows passwords alone, and says so: the certificate was offered in their place.
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => RabbitMqPubSubTests.OpenAsync(address, [.. fields, ("saslExternal", "true")]));
        Assert.Contains("server offered [", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CN=localhost", false)]
    [InlineData("CN=elsewhere", true)]
    public async Task A_broker_of_another_authority_or_name_is_not_believed(string name, bool isOurs)
    {
        ServerProgram.Require(RabbitMqServer.Missing);
        var server = await servers.RabbitMqAsync();
        using var ours = Authority("ours");
        using var others = Authority("others");
        await using var listener = new TlsListener(server.Port, Issue(isOurs ? ours : others, name));
        var address = $"amqps://guest:guest@localhost:{listener.Port}/{server.NewVirtualHost()}";

        await Assert.ThrowsAsync<InvalidOperationException>(() => RabbitMqPubSubTests.OpenAsync(address, ("caCert", ours.ExportCertificatePem())));
        await Assert.ThrowsAsync<InvalidOperationException>(() => RabbitMqPubSubTests.OpenAsync(address));
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name["CN=".Length..]);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, authority.NotBefore, authority.NotAfter, RandomNumberGenerator.GetBytes(8));
        using var withKey = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    /// <summary>Passes what comes over TLS on to a port of this machine, and back.</summary>
    private sealed class TlsListener : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _gone = new();
        private readonly X509Certificate2 _certificate;
        private readonly int _toPort;
        private readonly Task _accepting;

        public TlsListener(int toPort, X509Certificate2 certificate)
        {
            (_toPort, _certificate) = (toPort, certificate);
            _listener.Start();
            _accepting = Connections.AcceptAsync(_listener, PassOnAsync, _gone.Token);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        /// <summary>Whom the last one to come said to be.</summary>
        public string? Client { get; private set; }

        public async ValueTask DisposeAsync()
        {
            await _gone.CancelAsync();
            await _accepting;
            _listener.Stop();
            _certificate.Dispose();
            _gone.Dispose();
        }

        private bool Take(string? client)
        {
            Client = client ?? Client;
            return true;
        }

        private async Task PassOnAsync(TcpClient near)
        {
            using var far = new TcpClient();
            using (near)
            await using (var tls = new SslStream(near.GetStream()))
            {
                try
                {
                    await tls.AuthenticateAsServerAsync(
                        new SslServerAuthenticationOptions
                        {
                            ServerCertificate = _certificate,
                            ClientCertificateRequired = true,
                            RemoteCertificateValidationCallback = (_, client, _, _) => Take(client?.Subject),
                        },
                        _gone.Token);
                    await far.ConnectAsync(IPAddress.Loopback, _toPort, _gone.Token);
                    await Task.WhenAny(tls.CopyToAsync(far.GetStream(), _gone.Token), far.GetStream().CopyToAsync(tls, _gone.Token));
                }
                catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
                {
                    // One of the two wanted no more.
                }
            }
        }
    }
}
