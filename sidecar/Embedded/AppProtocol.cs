namespace EmbeddedSidecar;

/// <summary>What an application speaks on its port. Of https and grpcs any certificate is taken, as daprd does.</summary>
public enum AppProtocol
{
    Http,
    Https,

    /// <summary>HTTP/2 without TLS.</summary>
    H2c,

    /// <summary>The service AppCallback, and services of its own.</summary>
    Grpc,
    Grpcs,
}
