using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>How often a reminder's failing call is made, by the failure policy that it was registered with.</summary>
public sealed class ReminderFailurePolicyTests : IAsyncLifetime
{
    private static readonly Uri Reminder = new("/v1.0/actors/Cart/1/reminders/wake", UriKind.Relative);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private TestApp _app = null!;
    private EmbeddedDapr _dapr = null!;
    private int _calls;
    private string? _error;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _app = await TestApp.StartAsync(context =>
        {
            if (context.Request.Path == "/dapr/config")
                return context.Response.WriteAsync("""{"entities": ["Cart"]}""", Cancellation);
            if (context.Request.Path == "/actors/Cart/1/method/remind/wake")
                Interlocked.Increment(ref _calls);
            context.Response.StatusCode = _error is null ? 500 : 200;
            if (_error is not null)
                context.Response.Headers["X-DaprErrorResponseHeader"] = _error;
            return Task.CompletedTask;
        });
        _dapr = await EmbeddedDapr.StartAsync(new() { Apps = [Sidecars.App("one") with { AppPort = _app.Port }], Time = _time }, Cancellation);
        await _dapr.Ready.WaitAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _dapr.DisposeAsync();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task One_without_a_name_is_refused_as_by_the_Scheduler_service()
    {
        using var channel = Sidecars.Grpc(_dapr["one"]);

        var refused = await Assert.ThrowsAsync<RpcException>(async () => await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).RegisterActorReminderAsync(
            new RegisterActorReminderRequest { ActorType = "Cart", ActorId = "1", DueTime = "1s" }, cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Internal, refused.StatusCode);
        Assert.StartsWith(
            "error creating actor reminder: rpc error: code = Unknown desc = job name is invalid \"actorreminder||default||Cart||1||\": a lowercase RFC 1123 subdomain",
            refused.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 4)]
    [InlineData("""{"drop": {}}""", 1)]
    [InlineData("""{"constant": {"interval": "0.5s", "maxRetries": 5}}""", 6)]
    [InlineData("""{"constant": {"maxRetries": 0}}""", 1)]
    public async Task Over_grpc_it_is_told(string policy, int calls)
    {
        using var channel = Sidecars.Grpc(_dapr["one"]);
        await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).RegisterActorReminderAsync(
            new RegisterActorReminderRequest
            {
                ActorType = "Cart",
                ActorId = "1",
                Name = "wake",
                DueTime = "1s",
                FailurePolicy = policy.Length == 0 ? null : JobFailurePolicy.Parser.ParseJson(policy),
            },
            cancellationToken: Cancellation);

        Assert.Equal(calls, await CallsUntilItIsGoneAsync());
    }

    /// <summary>So an SDK says that the actor's method failed (dapr pkg/actors/targets/app/transport/http).</summary>
    [Fact]
    public async Task An_answer_that_names_an_error_is_a_failure_though_its_status_is_200()
    {
        _error = "<h/>";
        using var http = Sidecars.Http(_dapr["one"]);
        (await http.PostAsJsonAsync(Reminder, new JsonObject { ["dueTime"] = "1s" }, Cancellation)).Dispose();

        Assert.Equal(4, await CallsUntilItIsGoneAsync());
    }

    /// <summary>daprd decodes the field as Go's own JSON, to which the names of a oneof mean nothing (pkg/actors/api/reminders.go): none of them has an effect.</summary>
    [Theory]
    [InlineData("""{"drop": {}}""")]
    [InlineData("""{"constant": {"interval": "0.5s", "max_retries": 5}}""")]
    public async Task Over_http_it_changes_nothing_as_in_daprd(string policy)
    {
        using var http = Sidecars.Http(_dapr["one"]);
        using var registered = await http.PostAsJsonAsync(
            Reminder, new JsonObject { ["dueTime"] = "1s", ["failure_policy"] = JsonNode.Parse(policy) }, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, registered.StatusCode);

        Assert.Equal(4, await CallsUntilItIsGoneAsync());
    }

    private async Task<int> CallsUntilItIsGoneAsync()
    {
        using var http = Sidecars.Http(_dapr["one"]);
        for (var looks = 0; looks < 10_000; looks++)
        {
            using var answer = await http.GetAsync(Reminder, Cancellation);
            if (answer.StatusCode == HttpStatusCode.NotFound)
                return Volatile.Read(ref _calls);
            _time.Advance(TimeSpan.FromMilliseconds(250));
        }

        throw new InvalidOperationException($"the reminder is still there, after {_calls} calls");
    }
}
