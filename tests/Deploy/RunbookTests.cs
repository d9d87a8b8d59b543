using System.Text.RegularExpressions;

namespace DaprOrders.Deploy.Tests;

/// <summary>Commands of docs/runbook.md, which somebody types at night.</summary>
public sealed partial class RunbookTests
{
    private const string Token = "a-token-of-sidecars";

    public static TheoryData<string> Commands =>
        [.. Block().Matches(File.ReadAllText(RepositoryFiles.PathOf("docs", "runbook.md")).ReplaceLineEndings("\n"))
            .SelectMany(block => block.Groups[1].Value.Split('\n')).Where(line => line.Contains("curl", StringComparison.Ordinal))];

    /// <summary>As on a cluster where nobody signs in: the services have the token of their sidecars.</summary>
    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_command_is_taken_by_the_service_that_it_asks(string command)
    {
        var request = Assert.Single(Curl.In(command.Replace("$APP_API_TOKEN", Token, StringComparison.Ordinal)));
        var app = RunFile.Ports.Single(port => port.Value == request.Address.Port).Key;
        using var application = Application.Start(app, ("APP_API_TOKEN", Token), ("Auth:Mode", "none"));

        var (route, isLetIn) = await application.AskAsync(request);

        Assert.True(route is not null, $"{app} has no {request.Method} {request.Address.AbsolutePath}.");
        Assert.True(isLetIn, $"{app} refuses {request.Method} {request.Address.AbsolutePath}.");
    }

    [Fact]
    public void There_are_some() => Assert.True(Commands.Count > 3);

    [GeneratedRegex("```sh run=[^\n]*\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();
}
