using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.FollowingOrders;

public class OpenApiTests(RunningOrdering ordering)
{
    [Theory]
    [InlineData("/orders", "post", "200 201 400 413 415 422 503")]
    [InlineData("/orders/{orderId}", "get", "200 400 404 503")]
    [InlineData("/orders/{orderId}/events", "get", "200 400 404 503")]
    [InlineData("/orders/{orderId}/cancellation", "post", "200 400 404 409 412 413 415 503")]
    public async Task An_operation_tells_every_answer_and_its_shape(string path, string method, string expected)
    {
        var document = await ordering.GetJsonAsync("/openapi/v1.json");

        var responses = document.GetProperty("paths").GetProperty(path).GetProperty(method).GetProperty("responses").EnumerateObject().ToList();
        Assert.Equal(expected, string.Join(' ', responses.Select(response => response.Name).Order()));
        Assert.All(responses, response => Assert.True(
            response.Value.GetProperty("content").TryGetProperty(
                response.Name[0] == '2' ? "application/json" : "application/problem+json", out var content) && content.TryGetProperty("schema", out _),
            $"{method} {path} does not tell the shape of {response.Name}."));
    }

    [Fact]
    public async Task Every_operation_of_the_service_answers_success_and_problems()
    {
        var document = await ordering.GetJsonAsync("/openapi/v1.json");

        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                var statuses = operation.Value.GetProperty("responses").EnumerateObject().Select(response => response.Name).ToList();
                Assert.True(statuses.Exists(status => status[0] == '2'), $"{operation.Name} {path.Name} names no success.");
                Assert.True(statuses.Exists(status => status[0] is '4' or '5'), $"{operation.Name} {path.Name} names no problem.");
            }
        }
    }

    [Fact]
    public async Task A_quantity_is_a_whole_number_and_nothing_else()
    {
        var document = await ordering.GetJsonAsync("/openapi/v1.json");

        var quantity = document.GetProperty("components").GetProperty("schemas").GetProperty("PlaceOrderLine").GetProperty("properties").GetProperty("quantity");
        Assert.DoesNotContain("string", quantity.GetProperty("type").ToString());
    }
}
