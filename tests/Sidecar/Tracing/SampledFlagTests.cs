using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Invocation;
using EmbeddedSidecar.Resources;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Tracing;

/// <summary>Whether a trace that begins in a sidecar that sends no spans is said to be sampled: as samplingRate says (dapr pkg/runtime, setupTracing).</summary>
public sealed class SampledFlagTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0.0, "00", "")]
    [InlineData(1.0, "01", "-01")]
    [InlineData(null, "01", "-01")]
    public async Task A_trace_that_begins_here_is_flagged_by_the_rate_and_at_none_a_proxied_call_has_no_trace(double? rate, string flags, string proxied)
    {
        await using var shop = await ShopApp.StartAsync();
        shop.OnGet = (_, call) => Task.FromResult(call.RequestHeaders.GetValue("traceparent") ?? "");
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one") with { Configuration = ConfigurationResource.Default with { Tracing = new(rate) } },
            Sidecars.App("shop") with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc });
        await dapr.Ready;

        Assert.EndsWith($"-{flags}", await AnsweredAsync(dapr, null), StringComparison.Ordinal);
        Assert.Matches(proxied.Length == 0 ? "^$" : $"{proxied}$", await PassedOnAsync(dapr, null));
    }

    [Theory]
    [InlineData("00")]
    [InlineData("01")]
    public async Task A_trace_that_came_keeps_its_flag_whatever_the_rate(string flags)
    {
        await using var shop = await ShopApp.StartAsync();
        shop.OnGet = (_, call) => Task.FromResult(call.RequestHeaders.GetValue("traceparent")!);
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one") with { Configuration = ConfigurationResource.Default with { Tracing = new(flags == "00" ? 1 : 0) } },
            Sidecars.App("shop") with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc });
        await dapr.Ready;
        var given = $"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}";

        Assert.Matches($"^00-0af7651916cd43dd8448eb211c80319c-.*-{flags}$", await AnsweredAsync(dapr, given));
        Assert.Matches($"^00-0af7651916cd43dd8448eb211c80319c-.*-{flags}$", await PassedOnAsync(dapr, given));
    }

    private static async Task<string> AnsweredAsync(EmbeddedDapr dapr, string? given)
    {
        using var http = Sidecars.Http(dapr["one"]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1.0/metadata");
        if (given is not null)
            request.Headers.Add("traceparent", given);
        using var answer = await http.SendAsync(request, Cancellation);
        return answer.Headers.GetValues("traceparent").Single();
    }

    private static async Task<string> PassedOnAsync(EmbeddedDapr dapr, string? given)
    {
        using var channel = Sidecars.Grpc(dapr["one"]);
        var metadata = new Metadata { { "dapr-app-id", "shop" } };
        if (given is not null)
            metadata.Add("traceparent", given);
        return (await channel.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, new(metadata, cancellationToken: Cancellation), new StringValue())).Value;
    }
}
