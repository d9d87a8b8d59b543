using System.Net;
using System.Text;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Errors;

public sealed record Letter(string To, IReadOnlyList<Sheet> Sheets);

public sealed record Sheet(string Text, int Copies);

public sealed class ErrorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("{", "$")]
    [InlineData("""{"to":"Ann"}""", "sheets")]
    [InlineData("{}", "to", "sheets")]
    [InlineData("""{"to":null,"sheets":[]}""", "to")]
    [InlineData("""{"to":5,"sheets":[]}""", "to")]
    [InlineData("""{"to":"Ann","sheets":[{"text":"x","copies":"many"}]}""", "sheets[0].copies")]
    [InlineData("""{"to":"Ann","sheets":[{"text":"x"}]}""", "sheets[0].copies")]
    [InlineData("""{"to":"Ann","to":"Bob","sheets":[]}""", "to")]
    public async Task A_body_that_does_not_fit_is_refused_with_the_fields_named(string body, params string[] fields)
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.PostAsync("/letters", new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await JsonAsync(response);
        Assert.Equal("urn:daprorders:invalid-request", problem.GetProperty("type").GetString());
        Assert.Equal(fields, problem.GetProperty("errors").EnumerateObject().Select(field => field.Name));
        Assert.DoesNotContain("DaprOrders.", problem.ToString());
        TestContext.Current.TestOutputHelper?.WriteLine(problem.ToString());
    }

    [Fact]
    public async Task A_body_of_another_content_type_is_415()
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.PostAsync("/letters", new StringContent("<to>Ann</to>", Encoding.UTF8, "text/xml"), Cancellation);

        await AssertProblemAsync(response, HttpStatusCode.UnsupportedMediaType, "unsupported-media-type");
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_413()
    {
        await using var host = await StartAsync(Map);

        using var request = new HttpRequestMessage(HttpMethod.Post, "/letters")
        {
            Content = new StringContent(JsonSerializer.Serialize(new string('x', 31_000_000)), Encoding.UTF8, "application/json"),
        };
        // Without it the connection is closed while the client still sends.
        request.Headers.ExpectContinue = true;
        var response = await host.Http.SendAsync(request, Cancellation);

        await AssertProblemAsync(response, HttpStatusCode.RequestEntityTooLarge, "too-large");
    }

    [Theory]
    [InlineData("stale", HttpStatusCode.PreconditionFailed, "stale-version")]
    [InlineData("down", HttpStatusCode.ServiceUnavailable, "store-unavailable")]
    [InlineData("large", HttpStatusCode.RequestEntityTooLarge, "too-large")]
    [InlineData("bug", HttpStatusCode.InternalServerError, "internal-error")]
    public async Task What_an_endpoint_throws_becomes_a_problem(string what, HttpStatusCode status, string code)
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.GetAsync($"/throw/{what}", Cancellation);

        await AssertProblemAsync(response, status, code);
        Assert.Equal(status == HttpStatusCode.ServiceUnavailable, response.Headers.RetryAfter is not null);
    }

    [Fact]
    public async Task An_unexpected_exception_tells_nothing_of_the_inside()
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.GetAsync("/throw/bug", Cancellation);

        Assert.DoesNotContain("secret", await response.Content.ReadAsStringAsync(Cancellation));
    }

    [Theory]
    [InlineData("/nosuch", HttpStatusCode.NotFound)]
    [InlineData("/letters", HttpStatusCode.MethodNotAllowed)]
    public async Task What_routing_refuses_is_a_problem_too(string path, HttpStatusCode status)
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.GetAsync(path, Cancellation);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Theory]
    [InlineData("x", "whole number")]
    [InlineData("99999999999999999999", "whole number")]
    [InlineData("1&limit=2", "whole number")]
    public async Task A_parameter_that_does_not_fit_is_named_with_what_was_expected_in_words(string value, string expected)
    {
        await using var host = await StartAsync(Map);

        var problem = await host.GetAsync($"/dead-letters?limit={value}", HttpStatusCode.BadRequest);

        var message = problem.GetProperty("errors").GetProperty("limit")[0].GetString();
        Assert.StartsWith($"Expected a {expected}; got '", message, StringComparison.Ordinal);
        Assert.DoesNotContain("Nullable", problem.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("null")]
    public async Task A_body_that_is_missing_is_told_in_words(string? body)
    {
        await using var host = await StartAsync(Map);

        var response = await host.Http.PostAsync("/letters", body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);

        await AssertProblemAsync(response, HttpStatusCode.BadRequest, "invalid-request");
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.DoesNotContain("Letter ", text);
        Assert.DoesNotContain("inferred", text);
        Assert.Contains("\"$\"", text);
    }

    [Fact]
    public async Task A_store_that_is_away_is_told_without_its_address()
    {
        await using var host = await StartAsync(Map);

        var text = await (await host.Http.GetAsync("/throw/down", Cancellation)).Content.ReadAsStringAsync(Cancellation);

        Assert.DoesNotContain("10.0.0.5", text);
    }

    [Fact]
    public async Task An_event_of_a_later_version_of_the_service_itself_is_told_as_what_it_is()
    {
        await using var host = await StartAsync(Map);

        var problem = await host.GetAsync("/throw/newer", HttpStatusCode.ServiceUnavailable);

        Assert.Equal("urn:daprorders:newer-event", problem.GetProperty("type").GetString());
        Assert.Contains("LetterSplit", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Grüner Tee", 10, true)]
    [InlineData("Gru\u0308ner Tee", 10, true)]
    [InlineData("🇩🇪🇫🇷👨‍👩‍👧‍👦", 3, true)]
    [InlineData("🇩🇪🇫🇷👨‍👩‍👧‍👦", 2, false)]
    [InlineData("a\0b", 10, false)]
    [InlineData("a\nb", 10, false)]
    [InlineData("a\u0085b", 10, false)]
    [InlineData("a\u007fb", 10, false)]
    [InlineData("   ", 10, false)]
    [InlineData("a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", 1, false)]
    public void A_text_is_as_long_as_people_count_it_and_has_no_control_characters(string text, int longest, bool isText) =>
        Assert.Equal(isText, !new FieldErrors().RequireText(text, "name", longest).Any);

    [Fact]
    public void Half_a_character_is_no_text() =>
        Assert.True(new FieldErrors().RequireText("a" + '\uD83C', "name", 10).Any);

    [Fact]
    public void Field_errors_are_collected_all_at_once()
    {
        var errors = new FieldErrors()
            .RequireId("tea-001", "sku")
            .RequireId("tea/001", "lines[1].sku")
            .RequireId(null, "orderId")
            .RequireText("  ", "name", 10)
            .RequireText(new string('x', 11), "detail", 10)
            .RequireRange(0, "quantity", 1, 5)
            .RequireRange(5, "limit", 1, 5);

        var problem = errors.ToProblem();

        Assert.Equal(StatusCodes.Status400BadRequest, problem.StatusCode);
        var found = Assert.IsType<Dictionary<string, string[]>>(problem.ProblemDetails.Extensions["errors"]);
        Assert.Equal(["lines[1].sku", "orderId", "name", "detail", "quantity"], found.Keys);
    }

    [Fact]
    public async Task OpenAPI_describes_the_problems_of_an_endpoint()
    {
        await using var host = await StartAsync(Map);

        var document = await host.GetAsync("/openapi/v1.json");

        var responses = document.GetProperty("paths").GetProperty("/letters").GetProperty("post").GetProperty("responses");
        Assert.Equal(["200", "400", "409"], responses.EnumerateObject().Select(response => response.Name).Order());
        Assert.True(responses.GetProperty("409").GetProperty("content").TryGetProperty("application/problem+json", out _));
        Assert.True(document.GetProperty("paths").TryGetProperty("/dead-letters/{id}/redrive", out _));
    }

    private static void Map(WebApplication app)
    {
        app.MapPost("/letters", (Letter letter) => TypedResults.Ok(letter.To)).AnswersProblems(400, 409);
        app.MapGet("/throw/{what}", IResult (string what) => what switch
        {
            "stale" => throw new WrongVersionException("letter-1", 2, 3),
            "down" => throw new EventStoreUnavailableException("The store does not answer.", new IOException("10.0.0.5:6379 refused")),
            "newer" => throw new NewerEventException("Stream letter-1 holds 'LetterSplit'.", new UnknownEventException("not known")),
            "large" => throw new EventTooLargeException("The event has 2 MiB."),
            _ => throw new InvalidOperationException("secret"),
        });
    }

    private static async Task AssertProblemAsync(HttpResponseMessage response, HttpStatusCode status, string code)
    {
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal($"urn:daprorders:{code}", (await JsonAsync(response)).GetProperty("type").GetString());
    }
}
