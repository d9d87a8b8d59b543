using DaprOrders.PaymentProvider;
using Serilog;

// The HTTP API of an external payment company, simulated: it knows nothing of this system, and its ledger outlives it.
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls($"http://localhost:{builder.Configuration["APP_PORT"] ?? "5199"}");
builder.Services.AddSerilog(log => log
    .ReadFrom.Configuration(builder.Configuration)
    .MinimumLevel.Override("Microsoft.AspNetCore", Serilog.Events.LogEventLevel.Warning)
    .WriteTo.Console(formatProvider: System.Globalization.CultureInfo.InvariantCulture));
builder.Services.AddProblemAnswers();
builder.Services.AddOpenApi();
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddSingleton(services => Ledger.Open(
    builder.Configuration["PaymentProvider:JournalPath"] ?? Path.Combine(builder.Environment.ContentRootPath, "data", "payment-provider.journal"),
    services.GetRequiredService<TimeProvider>()));
builder.Services.AddSingleton<Flakiness>();

var app = builder.Build();
app.UseProblemAnswers();
app.MapOpenApi();
app.MapCharges();
app.MapRefunds();
app.MapLedger();
app.MapGet("/healthz/live", () => TypedResults.Ok()).ExcludeFromDescription();
app.MapGet("/healthz/deliveries", () => TypedResults.Ok()).ExcludeFromDescription();
app.MapGet("/healthz/ready", () => TypedResults.Ok()).ExcludeFromDescription();

// Opened before the first request: a journal that cannot be read stops the start.
app.Services.GetRequiredService<Ledger>();
app.Run();
