using Microsoft.AspNetCore.Http;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>
/// The applications that an invoked call names as its caller. The caller's sidecar adds its own app id behind what the client has forged, so
/// several names are a forgery. A call through the service's own sidecar carries no name, or just the forged one: this check ends there.
/// </summary>
internal static class Callers
{
    private const string Header = "Dapr-Caller-App-Id";

    public static IReadOnlyList<string> Of(HttpRequest request) =>
        [.. request.Headers[Header].SelectMany(value => (value ?? "").Split(',', StringSplitOptions.TrimEntries))];
}
