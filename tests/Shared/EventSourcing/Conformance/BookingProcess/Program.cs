// A service that only appends, until it is killed: it writes the id of every event that was acknowledged, and publishes none of them.
// Arguments: HTTP and gRPC address of the sidecar, then settings of the event store such as EventStore:Lease=00:00:02.
using Dapr.Client;
using DaprOrders.BookingProcess;
using DaprOrders.EventSourcing;

const int Writers = 8;

var builder = Host.CreateApplicationBuilder(args[2..]);
builder.Logging.ClearProviders();
builder.Configuration["DAPR_GRPC_ENDPOINT"] = args[1];
builder.Services.AddSingleton(new DaprClientBuilder().UseHttpEndpoint(args[0]).UseGrpcEndpoint(args[1]).Build());
builder.Services.AddSingleton<IEventPublisher, NoBroker>();
builder.Services.AddEventStore(types => types.Add<Booked>());
using var host = builder.Build();
await host.StartAsync();

var store = host.Services.GetRequiredService<EventStore>();
var category = new StreamCategory<int, Booked>("ledger", "ledgers", 0, (sum, booked) => sum + booked.Amount);
await Task.WhenAll(Enumerable.Range(0, Writers).Select(async writer =>
{
    for (var i = 0; ; i++)
    {
        var handled = await store.HandleAsync(category, $"killed-{writer}-{i % 10}", _ => new Booked(1, $"{writer}/{i}"), new CommandContext(), default);
        Console.WriteLine(handled.Appended[0].Id);
    }
}));

namespace DaprOrders.BookingProcess
{
    internal sealed record Booked(int Amount, string Text);

    internal sealed class NoBroker : IEventPublisher
    {
        public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) =>
            throw new IOException("There is no broker.");
    }
}
