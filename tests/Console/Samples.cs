using System.Globalization;
using System.Text.Json;

namespace DaprOrders.Console.Tests;

/// <summary>Answers of the services, as they write them.</summary>
internal static class Samples
{
    public static string Listed(string id, string status, DateTimeOffset created, double tookSeconds = 0.5, long version = 1, string customer = "c-1")
    {
        var updated = created.AddSeconds(status == "created" ? 0 : tookSeconds);
        var history = status == "created" ? Since("created", created) : $"{Since("created", created)},{Since(status, updated)}";
        var cancellation = status == "cancelled" ? "{\"reason\":\"customer\",\"detail\":null}" : "null";
        return $$$"""
            {"orderId":"{{{id}}}","customerId":"{{{customer}}}","status":"{{{status}}}","version":{{{version}}},"total":{"amount":19.00,"currency":"EUR"},
             "lines":[{"sku":"tea","name":"Tea","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}],"cancellation":{{{cancellation}}},"shipment":null,
             "reservation":"reserved","payment":null,"history":[{{{history}}}],"createdAt":"{{{At(created)}}}","updatedAt":"{{{At(updated)}}}"}
            """;
    }

    public static string Page(string? cursor, params string[] orders) => $$"""{"orders":[{{string.Join(",", orders)}}],"cursor":{{JsonSerializer.Serialize(cursor)}}}""";

    public static string Event(string stream, long version, string type, DateTimeOffset at, string? cause = null, string data = """{"orderId":"o-1"}""", string? foundBy = null) =>
        $$"""{"id":"{{stream}}:{{version}}","stream":"{{stream}}","version":{{version}},"type":"{{type}}","schemaVersion":1,"occurredAt":"{{At(at)}}","correlationId":"0af7651916cd43dd8448eb211c80319c","causationId":{{JsonSerializer.Serialize(cause)}},"data":{{data}}{{(foundBy is null ? "" : $",\"foundBy\":\"{foundBy}\"")}}}""";

    public static string Order(string id, string status, long version) =>
        $$$"""{"orderId":"{{{id}}}","customerId":"c-1","status":"{{{status}}}","version":{{{version}}},"total":{"amount":19.00,"currency":"EUR"},"lines":[{"sku":"tea","name":"Tea","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}],"cancellation":null,"shipment":null,"createdAt":"2026-11-27T11:59:00Z","updatedAt":"2026-11-27T11:59:0{{{version}}}Z"}""";

    public static string Letter(string id, string stream, string error, int attempts = 6) =>
        $$"""{"id":"{{id}}","eventId":"{{stream}}:1","topic":"orders","stream":"{{stream}}","type":"OrderCreated","receivedAt":"2026-11-27T11:00:00Z","attempts":{{attempts}},"lastAttemptAt":"2026-11-27T11:01:00Z","error":{{JsonSerializer.Serialize(error)}}}""";

    public static string Letters(params string[] letters) => LetterPage(null, letters);

    public static string LetterPage(string? cursor, params string[] letters) =>
        $$"""{"deadLetters":[{{string.Join(",", letters)}}],"cursor":{{JsonSerializer.Serialize(cursor)}}}""";

    public static string FailuresOf(string order, int from = 1) =>
        $"dead-letters/failures?stream=order-{order}&stream=reservation-{order}&stream=payment-{order}&stream=shipment-{order}&from={from}&to={from + 11}";

    public static string Failed(string stream, long version, string error, string outcome = "deadLetter", int attempts = 6, string? endedAt = null) =>
        $$"""{"eventId":"{{stream}}:{{version}}","stream":"{{stream}}","version":{{version}},"attempts":{{attempts}},"firstAt":"2026-11-27T11:00:00Z","lastAt":"2026-11-27T11:01:00Z","error":{{JsonSerializer.Serialize(error)}},"outcome":"{{outcome}}","endedAt":{{JsonSerializer.Serialize(endedAt)}},"deadLetterId":{{(outcome == "deadLetter" ? "\"a\"" : "null")}}}""";

    public static string Failures(params string[] failed) => $$"""{"failures":[{{string.Join(",", failed)}}]}""";

    public static string Counts(string? cursor, params (string Reason, int Count)[] groups) =>
        $$"""{"letters":{{groups.Sum(group => group.Count)}},"groups":[{{string.Join(",", groups.Select(group => $$"""{"reason":"{{group.Reason}}","topic":"orders","count":{{group.Count}},"first":"2026-11-27T11:00:00Z","last":"2026-11-27T11:30:00Z"}"""))}}],"cursor":{{JsonSerializer.Serialize(cursor)}}}""";

    public static string Summary(long paid) =>
        $$$"""{"orders":{{{paid}}},"byStatus":{"created":0,"stockReserved":0,"paid":{{{paid}}},"shipped":0,"cancelled":0},"sold":0,"revenue":[]}""";

    public static string Act(string id, string kind, string result, DateTimeOffset at, string? error = null, int? letters = 1, int done = 1, int failed = 0) => $$"""
        {"id":"{{id}}","kind":"{{kind}}","by":"ann","reason":"test data","at":"{{At(at)}}","endedAt":null,"result":"{{result}}","letters":{{JsonSerializer.Serialize(letters)}},
         "done":{{done}},"failed":{{failed}},"error":{{JsonSerializer.Serialize(error)}},"letterId":"a","eventId":"order-1:1",
         "editedId":{{(kind == "editedRedrive" ? $"\"order-1:1~{id}\"" : "null")}},"topic":"orders","stream":"order-1","type":"OrderCreated"}
        """;

    public static string Acts(params string[] acts) => $$"""{"acts":[{{string.Join(",", acts)}}],"cursor":null}""";

    public static string Job(string status, int handled, int failed, string? error = null, string id = "job-1") =>
        $$"""{"id":"{{id}}","status":"{{status}}","startedAt":"2026-11-27T11:00:00Z","finishedAt":null,"handled":{{handled}},"failed":{{failed}},"by":"ann","letters":2,"error":{{JsonSerializer.Serialize(error)}}}""";

    private static string Since(string status, DateTimeOffset at) => $$"""{"status":"{{status}}","at":"{{At(at)}}"}""";

    private static string At(DateTimeOffset at) => at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
}
