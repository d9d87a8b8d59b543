using DaprOrders.Console.Calling;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Console.Tests;

internal static class Consoles
{
    /// <summary>The whole of the console, with the services played.</summary>
    public static WebApplicationFactory<ConsoleOptions> Of(
        FakeServices services, IReadOnlyDictionary<string, string> settings, string environment, TimeProvider? time = null) =>
        new WebApplicationFactory<ConsoleOptions>().WithWebHostBuilder(builder =>
        {
            builder.UseEnvironment(environment);
            builder.UseSetting("Serilog:MinimumLevel:Default", "Error");
            foreach (var (name, value) in settings)
                builder.UseSetting(name, value);
            builder.ConfigureTestServices(registered =>
            {
                foreach (var name in new[] { ServicesClient.Calls, ServicesClient.Acts, ServicesClient.Updates })
                    registered.AddHttpClient(name).ConfigurePrimaryHttpMessageHandler(() => services);
                if (time is not null)
                    registered.AddSingleton(time);
            });
        });
}
