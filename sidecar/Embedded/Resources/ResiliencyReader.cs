using System.Globalization;
using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Resiliency;

namespace EmbeddedSidecar.Resources;

/// <summary>Reads <c>kind: Resiliency</c> with Dapr's defaults (pkg/apis/resiliency, pkg/resiliency, kit/retry).</summary>
internal static class ResiliencyReader
{
    /// <summary>Of an actor type (pkg/resiliency, defaultActorCacheSize).</summary>
    private const int DefaultBreakersKept = 5000;

    public static ResiliencyResource Read(YamlMap document, string name, ICollection<PolicyReference> references)
    {
        var spec = document.RequiredMap("spec");
        var policies = spec?.Map("policies");
        var targets = spec?.Map("targets");

        var resiliency = new ResiliencyResource(
            name,
            ReadTimeouts(policies),
            ReadNamed(policies, "retries", ReadRetry),
            ReadNamed(policies, "circuitBreakers", ReadCircuitBreaker),
            ReadNamed(targets, "apps", map => ReadNames(map, references) with { BreakersKept = map.Integer("circuitBreakerCacheSize", minimum: 0) ?? 0 }),
            ReadNamed(targets, "actors", map => ReadActor(map, references)),
            ReadNamed(targets, "components", map => ReadComponent(map, references)),
            document.Texts("scopes"),
            document.Location);

        policies?.EndOfFields();
        targets?.EndOfFields();
        spec?.EndOfFields();
        return resiliency;
    }

    private static Dictionary<string, T> ReadNamed<T>(YamlMap? parent, string field, Func<YamlMap, T> read)
    {
        var map = parent?.Map(field);
        var named = new Dictionary<string, T>(StringComparer.Ordinal);
        foreach (var name in parent?.Names(field) ?? [])
        {
            if (map!.Map(name) is { } value)
            {
                named[name] = read(value);
                value.EndOfFields();
            }
            else if (!map.Has(name))
            {
                map.Error("expected a map of fields, got nothing", name);
            }
        }

        return named;
    }

    private static Dictionary<string, TimeSpan> ReadTimeouts(YamlMap? policies)
    {
        var map = policies?.Map("timeouts");
        var timeouts = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        foreach (var name in policies?.Names("timeouts") ?? [])
        {
            if (!map!.Has(name))
                map.Error("expected a duration such as 500ms, 5s or 1m30s, got nothing", name);
            else if (map.Duration(name, bareMilliseconds: true) is { } timeout)
                timeouts[name] = timeout;
        }

        return timeouts;
    }

    private static RetryPolicy ReadRetry(YamlMap map)
    {
        var kind = map.OneOf("policy", "constant", "exponential") == "exponential" ? RetryPolicyKind.Exponential : RetryPolicyKind.Constant;
        var matching = map.Map("matching");
        var retry = new RetryPolicy(
            kind,
            map.Duration("duration", bareMilliseconds: true) ?? TimeSpan.FromSeconds(5),
            map.Duration("maxInterval", bareMilliseconds: true) ?? TimeSpan.FromSeconds(60),
            map.Integer("maxRetries", minimum: -1) ?? -1,
            ReadCodes(matching, "httpStatusCodes", 100, 599),
            ReadCodes(matching, "gRPCStatusCodes", 0, 16));
        matching?.EndOfFields();
        return retry;
    }

    private static List<(int From, int To)> ReadCodes(YamlMap? matching, string field, int lowest, int highest)
    {
        var ranges = new List<(int From, int To)>();
        foreach (var part in matching?.Text(field)?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            var ends = part.Split('-');
            if (ends.Length <= 2 && TryCode(ends[0], out var from) && TryCode(ends[^1], out var to) && from <= to)
                ranges.Add((from, to));
            else
                matching!.Error($"expected codes from {lowest} to {highest} such as \"{lowest + 4},{lowest + 8}-{highest}\", got \"{part}\"", field);
        }

        return ranges;

        bool TryCode(string text, out int code) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out code) && code >= lowest && code <= highest;
    }

    private static CircuitBreakerPolicy ReadCircuitBreaker(YamlMap map)
    {
        var policy = new CircuitBreakerPolicy(
            map.Integer("maxRequests", minimum: 0) is > 0 and var requests ? requests : 1,
            map.Duration("interval", bareMilliseconds: true) ?? TimeSpan.Zero,
            map.Duration("timeout", bareMilliseconds: true) is { Ticks: > 0 } timeout ? timeout : TimeSpan.FromSeconds(60),
            map.Text("trip") is { Length: > 0 } trip ? trip : "consecutiveFailures > 5")
        {
            TripLocation = map.LocationOf("trip"),
        };
        try
        {
            if (CircuitBreaker.WhyItNeverTrips(CelExpression.Parse(policy.Trip, policy.TripLocation)) is { } why)
                map.Warning($"the expression '{policy.Trip}' cannot be evaluated: {why}. {CircuitBreaker.Known}; Dapr takes it, and it never trips", "trip");
        }
        catch (ResourceException e)
        {
            map.Error(e.Errors[0].Message, "trip");
        }

        return policy;
    }

    private static PolicyNames ReadActor(YamlMap map, ICollection<PolicyReference> references)
    {
        var names = ReadNames(map, references);
        var kept = map.Integer("circuitBreakerCacheSize", minimum: 0) is > 0 and var size ? size : DefaultBreakersKept;
        var scope = map.OneOf("circuitBreakerScope", "type", "id", "both");
        if (scope is null && names.CircuitBreaker is not null && !map.Has("circuitBreakerScope"))
            map.Error("an actor's circuit breaker needs circuitBreakerScope: type, id or both");
        return scope is "id" or "both" ? names with { BreakersKept = kept } : names;
    }

    private static ComponentPolicyNames ReadComponent(YamlMap map, ICollection<PolicyReference> references)
    {
        return new(ReadDirection("inbound"), ReadDirection("outbound"));

        PolicyNames? ReadDirection(string field)
        {
            var direction = map.Map(field);
            var names = direction is null ? null : ReadNames(direction, references);
            direction?.EndOfFields();
            return names;
        }
    }

    private static PolicyNames ReadNames(YamlMap map, ICollection<PolicyReference> references)
    {
        return new(Name("timeout", "timeouts"), Name("retry", "retries"), Name("circuitBreaker", "circuitBreakers"));

        string? Name(string field, string section)
        {
            if (map.Text(field) is not { Length: > 0 } name)
                return null;
            references.Add(new(map, field, section, name));
            return name;
        }
    }
}

/// <summary>A target's use of a policy by its name; the policy may stand in another file.</summary>
internal sealed record PolicyReference(YamlMap Map, string Field, string Section, string Name);
