using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapr.Client;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.EventSourcing.State;
using DaprOrders.Ordering.Pricing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Moq;

namespace DaprOrders.Ordering.Tests.Pricing;

public sealed class PriceListTests : IDisposable
{
    private const string Store = "statestore";
    private static readonly TimeSpan Age = TimeSpan.FromSeconds(5);

    private readonly Mock<DaprClient> _dapr = new();
    private readonly NothingInBulk _bulk = new();
    private readonly FakeTimeProvider _time = new();
    private readonly InventoryProducts _inventory;
    private readonly PriceList _prices;
    private Func<string, HttpResponseMessage> _inventoryAnswers = _ => throw new InvalidOperationException("Inventory was asked without need.");
    private Product? _stored;
    private int _reads;

    public PriceListTests()
    {
        _dapr.Setup(dapr => dapr.CreateInvokableHttpClient("inventory"))
            .Returns(() => new HttpClient(new Answering(this)) { BaseAddress = new Uri("http://inventory") });
        _dapr.Setup(dapr => dapr.GetStateAndETagAsync<Product?>(
                Store, "product|tea-1", It.IsAny<ConsistencyMode?>(), It.IsAny<IReadOnlyDictionary<string, string>>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync(() =>
            {
                _reads++;
                return (_stored, _stored is null ? "" : "1");
            });
        _dapr.Setup(dapr => dapr.SaveBulkStateAsync(Store, It.IsAny<IReadOnlyList<SaveStateItem<It.IsAnyType>>>(), It.IsAny<CancellationToken>()))
            .Callback(new InvocationAction(call => _stored = JsonSerializer.SerializeToElement(call.Arguments[1])[0].GetProperty("Value").Deserialize<Product>()))
            .Returns(Task.CompletedTask);
        _inventory = new InventoryProducts(_dapr.Object);
        _prices = new PriceList(
            new ProductReplica(new Documents(_dapr.Object, _bulk, Store)), _inventory, Options.Create(new OrderingOptions { PriceAge = Age }), _time);
    }

    [Fact]
    public async Task A_price_that_is_remembered_is_answered_without_waiting_and_without_a_read()
    {
        _stored = Tea(1, 9.50m);
        await FindAsync();

        var second = _prices.FindAsync(["tea-1", "tea-1"], TestContext.Current.CancellationToken);

        Assert.True(second.IsCompletedSuccessfully);
        Assert.Equal([Tea(1, 9.50m), Tea(1, 9.50m)], await second);
        Assert.Equal(1, _reads);
    }

    [Fact]
    public async Task What_another_replica_has_consumed_counts_once_the_price_is_too_old()
    {
        _stored = Tea(1, 9.50m);
        await FindAsync();
        _stored = Tea(2, 12.00m);

        _time.Advance(Age);
        Assert.Equal(Tea(1, 9.50m), await FindAsync());
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Tea(2, 12.00m), await FindAsync());
    }

    [Fact]
    public async Task What_this_replica_consumes_counts_at_once()
    {
        _stored = Tea(1, 9.50m);
        await FindAsync();

        await FollowAsync(2, 12.00m);

        Assert.Equal(Tea(2, 12.00m), await FindAsync());
        Assert.Equal(Tea(2, 12.00m), _stored);
    }

    [Fact]
    public async Task Late_news_change_nothing()
    {
        await FollowAsync(2, 12.00m);
        await FollowAsync(1, 9.50m);

        Assert.Equal(Tea(2, 12.00m), await FindAsync());
        Assert.Equal(Tea(2, 12.00m), _stored);
    }

    [Fact]
    public async Task What_is_not_known_here_is_asked_of_Inventory_once()
    {
        _inventoryAnswers = path => path == "/products/lookup" ? Found(new { sku = "tea-1", name = "Tea", price = new { amount = 9.50m, currency = "EUR" }, version = 3 })
            : throw new InvalidOperationException(path);
        Assert.Equal(Tea(3, 9.50m), await FindAsync());
        Assert.Equal(Tea(3, 9.50m), _stored);

        _inventoryAnswers = _ => throw new InvalidOperationException("Inventory was asked again.");
        _time.Advance(2 * Age);
        Assert.Equal(Tea(3, 9.50m), await FindAsync());
    }

    [Fact]
    public async Task What_Inventory_does_not_have_is_no_product_and_is_not_remembered()
    {
        _inventoryAnswers = _ => Found();
        Assert.Null(await FindAsync());
        Assert.Null(_stored);

        await FollowAsync(1, 9.50m);
        Assert.Equal(Tea(1, 9.50m), await FindAsync());
    }

    [Fact]
    public async Task A_hundred_unknown_SKUs_are_one_call_and_one_read()
    {
        var calls = 0;
        _inventoryAnswers = _ =>
        {
            calls++;
            return Found();
        };
        var found = await _prices.FindAsync([.. Enumerable.Range(0, 100).Select(number => $"unknown-{number}")], TestContext.Current.CancellationToken);

        Assert.All(found, Assert.Null);
        Assert.Equal(1, calls);
        Assert.Equal([100], _bulk.Reads);
        Assert.DoesNotContain(_dapr.Invocations, call => call.Method.Name.StartsWith("GetStateAndETag", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound, "")]
    [InlineData(HttpStatusCode.InternalServerError, "")]
    [InlineData(HttpStatusCode.Forbidden, "")]
    [InlineData(HttpStatusCode.OK, "null")]
    [InlineData(HttpStatusCode.OK, "{}")]
    [InlineData(HttpStatusCode.OK, "this is no product")]
    public async Task When_Inventory_does_not_tell_the_SKU_is_not_called_unknown(HttpStatusCode status, string body)
    {
        _inventoryAnswers = _ => new(status) { Content = new StringContent(body) };

        var exception = await Assert.ThrowsAsync<ServiceUnavailableException>(async () => await FindAsync());

        Assert.Equal("inventory", exception.Service);
    }

    public void Dispose() => _inventory.Dispose();

    private static HttpResponseMessage Found(params object[] products) => new(HttpStatusCode.OK) { Content = JsonContent.Create(new { products }) };

    private async Task<Product?> FindAsync() => (await _prices.FindAsync(["tea-1"], TestContext.Current.CancellationToken)).Single();

    private Task FollowAsync(long version, decimal amount) => _prices.FollowAsync(
        [
            new IncomingEvent(
                "inventory",
                new RecordedEvent("product-tea-1", version, nameof(ProductChanged), 1, DateTimeOffset.UnixEpoch, null, null, default),
                new ProductChanged("tea-1", "Tea", new Money(amount, "EUR"))),
        ],
        TestContext.Current.CancellationToken);

    private static Product Tea(long version, decimal amount) => new("tea-1", "Tea", new Money(amount, "EUR"), version);

    private sealed class NothingInBulk : IBulkStateReads
    {
        /// <summary>How many keys each was for.</summary>
        public List<int> Reads { get; } = [];

        public Task<IReadOnlyDictionary<string, StateValue>> ReadAsync(
            string stateStore, IReadOnlyCollection<string> keys, int parallelism, CancellationToken cancellationToken)
        {
            Reads.Add(keys.Count);
            return Task.FromResult<IReadOnlyDictionary<string, StateValue>>(new Dictionary<string, StateValue>());
        }
    }

    private sealed class Answering(PriceListTests test) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(test._inventoryAnswers(request.RequestUri!.AbsolutePath));
    }
}
