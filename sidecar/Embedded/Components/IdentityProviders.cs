namespace EmbeddedSidecar.Components;

/// <summary>Metadata fields of components that get their users from a cloud (components-contrib/common/authentication): here users have passwords.</summary>
internal static class IdentityProviders
{
    public static IReadOnlyList<string> Azure { get; } =
    [
        "azureTenantId", "azureClientId", "azureClientSecret", "azureCertificate", "azureCertificateFile", "azureCertificatePassword", "azureEnvironment",
        "azureAuthMethods",
    ];

    public static IReadOnlyList<string> Aws { get; } = ["awsRegion", "awsAccessKey", "awsSecretKey", "awsSessionToken", "awsIamRoleArn", "awsStsSessionName"];
}
