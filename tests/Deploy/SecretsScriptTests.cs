using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Deploy.Tests.Kustomize;

namespace DaprOrders.Deploy.Tests;

/// <summary>The command that makes secrets: nothing secret is in the repository, and nothing is known beforehand.</summary>
public sealed class SecretsScriptTests
{
    public static TheoryData<string> Arguments => [.. Overlay.Names.Select(SecretsScript.ArgumentFor).Distinct()];

    [Theory]
    [MemberData(nameof(Arguments))]
    public void Every_run_makes_other_tokens_and_keys_of_full_strength(string argument)
    {
        var first = Made(argument);
        var second = Made(argument);

        foreach (var name in new[] { "dapr-api-token", "app-api-token", "events-signing-key" })
        {
            Assert.NotEqual(first[name], second[name]);
            Assert.True(first[name].Length >= 44, $"{name} has {first[name].Length} characters.");
        }

        Assert.NotEqual(first["dapr-api-token"], first["app-api-token"]);
        Assert.Equal(32, Convert.FromBase64String(first["events-signing-key"]).Length);

        static Dictionary<string, string> Made(string argument) =>
            SecretsScript.SecretsIn(SecretsScript.Run(argument, SecretsScript.Servers).Output, "daprorders")
                .Where(secret => secret.Key is "token" or "key").ToDictionary(secret => secret.Name, secret => Encoding.UTF8.GetString(secret.Value));
    }

    /// <summary>An apply of them later takes no label away, and with it the Pod Security Standard.</summary>
    [Theory]
    [MemberData(nameof(Arguments))]
    public void Namespaces_are_those_of_the_overlay(string argument)
    {
        var printed = YamlNodes.Parse(SecretsScript.Run(argument, SecretsScript.Servers).Output, "secrets.sh").Where(o => Overlay.Text(o["kind"]) == "Namespace");

        Assert.Equal(Overlay.Of(argument).OfKind("Namespace").Select(Described).Order(StringComparer.Ordinal), printed.Select(Described).Order(StringComparer.Ordinal));

        static string Described(JsonObject space) =>
            $"{space["metadata"]!["name"]} {string.Join(' ', space["metadata"]!["labels"]!.AsObject().Select(label => $"{label.Key}={label.Value}").Order(StringComparer.Ordinal))}";
    }

    [Fact]
    public void What_is_given_arrives_as_it_was_given()
    {
        var secrets = SecretsScript.SecretsIn(SecretsScript.Run("redis", SecretsScript.Servers).Output, "daprorders");

        Assert.Equal(SecretsScript.Servers["REDIS_PASSWORD"], Encoding.UTF8.GetString(secrets.Single(secret => secret.Name == "redis").Value));
    }

    [Fact]
    public void The_Redis_to_try_it_with_has_the_password_that_the_services_have()
    {
        var printed = SecretsScript.Run(Overlay.Try, []).Output;

        var ours = SecretsScript.SecretsIn(printed, "daprorders").Single(secret => secret.Name == "redis");
        var its = SecretsScript.SecretsIn(printed, "data").Single();
        Assert.Equal(("redis", "password"), (its.Name, its.Key));
        Assert.Equal(ours.Value, its.Value);
        Assert.Equal(48, its.Value.Length);
    }

    [Theory]
    [InlineData("redis", "REDIS_PASSWORD")]
    [InlineData("kafka-postgresql", "KAFKA_CA")]
    [InlineData("jetstream-postgresql", "POSTGRESQL_CONNECTION")]
    public void What_is_missing_is_named_and_nothing_is_printed(string argument, string missing)
    {
        var (exitCode, output, error) = SecretsScript.Run(argument, SecretsScript.Servers.Where(s => s.Key != missing).ToDictionary());

        Assert.Equal((2, ""), (exitCode, output));
        Assert.Contains(missing, error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_overlay_that_does_not_exist_is_refused() => Assert.Equal(2, SecretsScript.Run("mysql", SecretsScript.Servers).ExitCode);
}
