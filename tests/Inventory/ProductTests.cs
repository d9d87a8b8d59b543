using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Tests;

namespace DaprOrders.Inventory.Tests;

public sealed class ProductTests : IDisposable
{
    private const string Good = """{"name":"Green tea","price":{"amount":9.50,"currency":"EUR"}}""";

    private readonly InventoryHost _inventory = new();

    private ServiceHost<Products> Service => _inventory.Service;

    public void Dispose() => _inventory.Dispose();

    [Fact]
    public async Task A_product_is_listed_changed_and_published()
    {
        Assert.Equal(201, (await PutAsync("tea", Good)).Status);
        Assert.Equal(200, (await PutAsync("tea", Good)).Status);
        var (status, product) = await PutAsync("tea", """{"name":"Green tea","price":{"amount":10.00,"currency":"EUR"}}""");

        Assert.Equal(200, status);
        Assert.Equal(
            """{"sku":"tea","name":"Green tea","price":{"amount":10.00,"currency":"EUR"},"onHand":0,"reserved":0,"available":0,"version":2}""",
            product.GetRawText());
        Assert.Equal(product.GetRawText(), (await Service.GetAsync("/products/tea")).Body.GetRawText());
        await Eventually.IsAsync(() => Task.FromResult(Service.Published.Count == 2));
        Assert.Equal(["ProductListed", "ProductChanged"], Service.Published.Select(recorded => recorded.Type));
    }

    [Fact]
    public async Task The_price_list_is_read_page_by_page_in_the_order_of_the_skus()
    {
        string[] skus = ["b", "a", "B", "c-1", "c.2", "a0", "Z"];
        await Task.WhenAll(skus.Select(sku => PutAsync(sku, Good)));

        var read = new List<string?>();
        string? after = "";
        do
        {
            var (status, page) = await Service.GetAsync($"/products?limit=3&after={after}");
            Assert.Equal(200, status);
            read.AddRange(page.GetProperty("products").EnumerateArray().Select(product => product.GetProperty("sku").GetString()));
            after = page.GetProperty("next").GetString();
        }
        while (after is not null);

        Assert.Equal(skus.Order(StringComparer.Ordinal), read);
    }

    [Fact]
    public async Task Many_products_are_looked_up_in_one_call()
    {
        string[] skus = [.. Enumerable.Range(0, 100).Select(number => $"sku-{number}")];
        await Task.WhenAll(skus.Where((_, i) => i % 2 == 0).Select(sku => PutAsync(sku, Good)));

        var (status, found) = await Service.PostAsync("/products/lookup", new { skus });

        Assert.Equal(200, status);
        Assert.Equal(
            skus.Where((_, i) => i % 2 == 0).Select(sku => $$"""{"sku":"{{sku}}","name":"Green tea","price":{"amount":9.50,"currency":"EUR"},"version":1}"""),
            found.GetProperty("products").EnumerateArray().Select(product => product.GetRawText()));
    }

    [Theory]
    [InlineData("""{"skus":[]}""", "skus")]
    [InlineData("""{"skus":["a","no sku"]}""", "skus[1]")]
    [InlineData("""{"skus":[null]}""", "skus[0]")]
    [InlineData("{}", "skus")]
    public async Task A_bad_lookup_is_refused_with_the_field_named(string body, string field)
    {
        var (status, problem) = await Service.SendAsync(HttpMethod.Post, "/products/lookup", Text(body));

        Assert.Equal((400, "invalid-request"), (status, problem.Code()));
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Fact]
    public async Task A_lookup_of_more_than_a_hundred_products_is_refused() =>
        Assert.Equal(400, (await Service.PostAsync("/products/lookup", new { skus = Enumerable.Range(0, 101).Select(number => $"sku-{number}") })).Status);

    [Fact]
    public async Task A_receipt_is_booked_once_under_its_key()
    {
        await PutAsync("tea", Good);
        var first = await Service.PostAsync("/products/tea/receipts", new { quantity = 100 }, "k1");
        var second = await Service.PostAsync("/products/tea/receipts", new { quantity = 100 }, "k1");
        var (status, problem) = await Service.PostAsync("/products/tea/receipts", new { quantity = 101 }, "k1");

        Assert.Equal((200, 100), (first.Status, first.Body.GetProperty("onHand").GetInt32()));
        Assert.Equal((200, 100), (second.Status, second.Body.GetProperty("onHand").GetInt32()));
        Assert.Equal((422, "idempotency-key-reused"), (status, problem.Code()));
    }

    [Fact]
    public async Task Receipts_at_once_under_one_key_are_booked_once()
    {
        await PutAsync("tea", Good);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Service.PostAsync("/products/tea/receipts", new { quantity = 100 }, "k1")));

        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Equal((100, 0, 100), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task A_receipt_whose_answer_was_lost_may_be_sent_again()
    {
        await PutAsync("tea", Good);
        _inventory.AfterCall = (_, _) => throw new EventStoreUnavailableException("The answer is lost.");
        var (status, problem) = await Service.PostAsync("/products/tea/receipts", new { quantity = 100 }, "k1");
        Assert.Equal((503, "store-unavailable"), (status, problem.Code()));

        _inventory.AfterCall = (_, _) => Task.CompletedTask;
        Assert.Equal(200, (await Service.PostAsync("/products/tea/receipts", new { quantity = 100 }, "k1")).Status);
        Assert.Equal((100, 0, 100), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task Receipts_without_a_key_are_receipts_of_their_own()
    {
        await PutAsync("tea", Good);
        await Service.PostAsync("/products/tea/receipts", new { quantity = 100 });
        await Service.PostAsync("/products/tea/receipts", new { quantity = 100 });

        Assert.Equal((200, 0, 200), await _inventory.StockAsync("tea"));
    }

    [Theory]
    [InlineData("""{"price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":null,"price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":" ","price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":"green\u0000tea","price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":"green\ntea","price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":"green\u0085tea","price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":"\ud83c tea","price":{"amount":1,"currency":"EUR"}}""", "name")]
    [InlineData("""{"name":"x"}""", "price")]
    [InlineData("""{"name":"x","price":{"currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":0,"currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":-1,"currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":1.001,"currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":"much","currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":"1","currency":"EUR"}}""", "price.amount")]
    [InlineData("""{"name":"x","price":{"amount":1,"currency":"euro"}}""", "price.currency")]
    [InlineData("""{"name":"x","price":{"amount":1}}""", "price.currency")]
    [InlineData("{", "$")]
    public async Task A_bad_product_is_refused_with_the_field_named(string body, string field)
    {
        var (status, problem) = await PutAsync("tea", body);

        Assert.Equal((400, "invalid-request"), (status, problem.Code()));
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal(404, (await Service.GetAsync("/products/tea")).Status);
    }

    [Theory]
    [InlineData(200, true)]
    [InlineData(201, false)]
    public async Task A_name_is_as_long_as_a_reader_counts(int cups, bool isTaken)
    {
        var name = string.Concat(Enumerable.Repeat("🍵", cups));

        var (status, _) = await PutAsync("tea", $$$"""{"name":"{{{name}}}","price":{"amount":1,"currency":"EUR"}}""");

        Assert.Equal(isTaken ? 201 : 400, status);
    }

    [Theory]
    [InlineData("""{"quantity":0}""", "quantity")]
    [InlineData("""{"quantity":-5}""", "quantity")]
    [InlineData("""{"quantity":1000001}""", "quantity")]
    [InlineData("""{"quantity":99999999999}""", "quantity")]
    [InlineData("""{"quantity":1.5}""", "quantity")]
    [InlineData("""{"quantity":"5"}""", "quantity")]
    [InlineData("{}", "quantity")]
    public async Task A_bad_receipt_is_refused_with_the_field_named(string body, string field)
    {
        await PutAsync("tea", Good);
        var (status, problem) = await Service.SendAsync(HttpMethod.Post, "/products/tea/receipts", Text(body));

        Assert.Equal((400, "invalid-request"), (status, problem.Code()));
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal((0, 0, 0), await _inventory.StockAsync("tea"));
    }

    [Theory]
    [InlineData("GET", "/products/unknown", null, 404, "unknown-sku")]
    [InlineData("GET", "/products/no%20sku", null, 400, "invalid-request")]
    [InlineData("GET", "/products?limit=0", null, 400, "invalid-request")]
    [InlineData("GET", "/products?limit=101", null, 400, "invalid-request")]
    [InlineData("GET", "/products?limit=x", null, 400, "invalid-request")]
    [InlineData("GET", "/products?after=no%20sku", null, 400, "invalid-request")]
    [InlineData("PUT", "/products/no%20sku", Good, 400, "invalid-request")]
    [InlineData("POST", "/products/unknown/receipts", """{"quantity":1}""", 404, "unknown-sku")]
    [InlineData("GET", "/reservations/unknown", null, 404, "reservation-not-found")]
    [InlineData("GET", "/reservations/no%20id", null, 400, "invalid-request")]
    public async Task A_bad_request_is_refused(string method, string path, string? body, int expected, string code)
    {
        var (status, problem) = await Service.SendAsync(new HttpMethod(method), path, body is null ? null : Text(body));
        Assert.Equal((expected, code), (status, problem.Code()));
    }

    [Fact]
    public async Task A_body_that_is_no_json_is_refused_as_such()
    {
        var (status, problem) = await Service.SendAsync(HttpMethod.Put, "/products/tea", new StringContent("name=x", null, "application/x-www-form-urlencoded"));
        Assert.Equal((415, "unsupported-media-type"), (status, problem.Code()));
    }

    [Fact]
    public async Task The_openapi_document_describes_every_answer_of_every_operation() => OpenApiDocument.Describes(
        (await Service.GetAsync("/openapi/v1.json")).Body,
        [
            "PUT /products/{sku}: 200 201 400 413 415 503",
            "GET /products/{sku}: 200 400 404 503",
            "GET /products: 200 400 503",
            "POST /products/lookup: 200 400 413 415 503",
            "POST /products/{sku}/receipts: 200 400 404 413 415 422 503",
            "GET /reservations/{orderId}: 200 400 404 503",
            .. OpenApiDocument.OfEveryService,
            .. OpenApiDocument.EventLog,
        ]);

    private Task<(int Status, JsonElement Body)> PutAsync(string sku, string body) => Service.SendAsync(HttpMethod.Put, $"/products/{sku}", Text(body));

    private static StringContent Text(string body) => new(body, null, "application/json");
}
