using System.Text.Json;

namespace DaprOrders.Tests;

/// <summary>What a service's OpenAPI document must say: every operation, each of its answers, and the shape of each.</summary>
public static class OpenApiDocument
{
    /// <summary>What every service has.</summary>
    public static IReadOnlyList<string> OfEveryService { get; } =
    [
        "GET /dead-letters: 200 400 503",
        "GET /dead-letters/counts: 200 400 503",
        "GET /dead-letters/failures: 200 400 503",
        "GET /dead-letters/{id}: 200 404 503",
        "POST /dead-letters/{id}/discard: 204 400 404 409 413 415 503",
        "POST /dead-letters/{id}/redrive: 204 404 409 503",
        "POST /dead-letters/{id}/edited-redrive: 200 400 404 409 413 415 503",
        "POST /dead-letters/redrive: 202 409 503",
        "POST /dead-letters/redrive/selected: 202 400 409 413 415 503",
        "GET /dead-letters/redrive: 200 404 503",
        "GET /dead-letters/removed: 200 400 503",
        "GET /dead-letters/acts: 200 400 503",
        "GET /dead-letters/acts/{id}: 200 404 503",
        "GET /catch-up: 200 503",
        "GET /sidecar: 200 503",
        "GET /traffic: 200 503",
    ];

    /// <summary>What every service with an event store has.</summary>
    public static IReadOnlyList<string> EventLog { get; } =
    [
        "GET /event-log: 200 403 503",
        "GET /event-log/{lane}: 200 400 403 404 409 503",
        "GET /event-log/{lane}/entries: 200 400 403 404 409 503",
        "GET /event-log/streams/{stream}: 200 400 403 503",
        "POST /event-log/streams: 200 400 403 413 415 503",
        "GET /event-log/parked: 200 503",
        "POST /event-log/parked/{id}/redrive: 204 404 503",
        "DELETE /event-log/parked/{id}: 204 404 503",
        "POST /event-log/recovery: 202 409 503",
    ];

    /// <param name="operations">All of them, for instance <c>GET /products: 200 400 503</c>.</param>
    public static void Describes(JsonElement document, params IEnumerable<string> operations)
    {
        var described = document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Select(operation =>
        {
            var name = $"{operation.Name.ToUpperInvariant()} {(path.Name.Length > 1 ? path.Name.TrimEnd('/') : path.Name)}";
            var answers = operation.Value.GetProperty("responses").EnumerateObject().ToList();
            Assert.All(answers, answer => Assert.True(HasShape(answer), $"{name} does not tell the shape of {answer.Name}."));
            Assert.True(operation.Value.TryGetProperty("summary", out _), $"{name} has no summary.");
            return $"{name}: {string.Join(' ', answers.Select(answer => answer.Name).Order())}";
        }));

        Assert.Equal(operations.Order(StringComparer.Ordinal), described.Order(StringComparer.Ordinal));
    }

    private static bool HasShape(JsonProperty answer) =>
        answer.Name is "202" or "204"
        || (answer.Value.TryGetProperty("content", out var content)
            && (answer.Name[0] == '2' ? new[] { "application/json", "text/event-stream" } : ["application/problem+json"]).Any(
                name => content.TryGetProperty(name, out var type) && type.TryGetProperty("schema", out _)));
}
