using System.Buffers;
using System.Globalization;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Resources;

/// <summary>Reads <c>kind: Configuration</c>. Sections of Dapr's that mean nothing on one machine pass; those that would matter are told.</summary>
internal static class ConfigurationReader
{
    /// <summary>Valid in daprd's Configuration, without an effect here: mTLS, metrics, naming and logging of one machine.</summary>
    private static readonly string[] WithoutEffect = ["mtls", "metric", "metrics", "nameResolution", "logging", "workflow", "wasm"];

    /// <summary>What would make a path, a query or a user of a part of the address.</summary>
    private static readonly SearchValues<char> NotOfAnAuthority = SearchValues.Create("/\\?#@");

    /// <summary>As Dapr compares them.</summary>
    private static readonly string[] Verbs = [AccessOperation.AnyVerb, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

    private static readonly string[] Unsupported = ["httpPipeline", "appHttpPipeline", "components"];

    public static ConfigurationResource Read(YamlMap document, string name)
    {
        var spec = document.Map("spec");
        spec?.Skip(WithoutEffect);
        var api = spec?.Map("api");
        var secrets = spec?.Map("secrets");
        var features = ReadFeatures(spec);
        var configuration = new ConfigurationResource(
            name,
            ReadApis(api, "allowed"),
            ReadApis(api, "denied"),
            [.. features.Where(feature => feature.Enabled).Select(feature => feature.Name)],
            ReadSecretScopes(secrets),
            ReadTracing(spec),
            document.Location)
        {
            DisabledFeatures = [.. features.Where(feature => !feature.Enabled).Select(feature => feature.Name)],
            AccessControl = ReadAccessControl(spec?.Map("accessControl")),
        };
        foreach (var section in Unsupported.Where(s => spec?.Has(s) == true))
            spec!.Warning("has no effect in the embedded sidecar", section);
        api?.EndOfFields();
        secrets?.EndOfFields();
        spec?.EndOfFields();
        return configuration;
    }

    private static List<ApiRule> ReadApis(YamlMap? api, string field) => Read(api, field, map =>
    {
        var rule = new ApiRule(map.Text("name") ?? "", map.Text("version") ?? "", map.Text("protocol") ?? "");
        if (ApiAccess.Problem(rule, isDenied: field == "denied") is var (where, problem))
            map.Error(problem, where);
        return rule;
    });

    private static List<(string Name, bool Enabled)> ReadFeatures(YamlMap? spec) =>
        Read(spec, "features", map => (map.RequiredText("name", "the name of a feature"), map.Flag("enabled") ?? false));

    private static List<SecretScope> ReadSecretScopes(YamlMap? secrets) => Read(secrets, "scopes", map => new SecretScope(
        map.RequiredText("storeName", "the name of a secret store component"),
        map.OneOf("defaultAccess", "allow", "deny") ?? "allow",
        map.Texts("allowedSecrets"),
        map.Texts("deniedSecrets")));

    private static AccessControl? ReadAccessControl(YamlMap? map)
    {
        if (map is null)
            return null;

        var allows = ReadAction(map, "defaultAction");
        var trustDomain = map.Text("trustDomain");
        var policies = Read(map, "policies", ReadPolicy);
        foreach (var (policy, again) in policies.GroupBy(one => (one.Policy.AppId, one.Policy.Namespace)).SelectMany(group => group.SkipLast(1).Select(one => (one, group.Last()))))
            policy.Map.Warning($"a policy for \"{policy.Policy.AppId}\" in {policy.Policy.Namespace} comes again at {again.Map.Location}; Dapr takes only that one");
        if (policies.Count > 0 && !map.Has("defaultAction"))
            map.Warning("expected allow or deny, got nothing; Dapr allows everything to those for whom no policy is there", "defaultAction");
        map.EndOfFields();
        return new(allows ?? true, string.IsNullOrEmpty(trustDomain) ? AccessControl.DefaultTrustDomain : trustDomain, [.. policies.Select(one => one.Policy)]);
    }

    private static (YamlMap Map, AccessPolicy Policy) ReadPolicy(YamlMap map)
    {
        var operations = Read(map, "operations", ReadOperation);
        var policy = new AccessPolicy(
            map.RequiredText("appId", "the id of the application that calls"),
            map.RequiredText("trustDomain", $"the trust domain of the caller such as {AccessControl.DefaultTrustDomain}"),
            map.RequiredText("namespace", "the namespace of the caller such as default"),
            ReadAction(map, "defaultAction"),
            [.. operations.Select(one => one.Operation)]);
        foreach (var (operation, hiddenBy) in AccessControlList.Unreachable(policy))
        {
            var (at, _) = operations.First(one => ReferenceEquals(one.Operation, operation));
            at.Warning(
                hiddenBy is null
                    ? "expected a star for one part of a path at its end, got one in the middle; no call comes to this operation"
                    : $"{hiddenBy.Name} at {hiddenBy.Location} is the first on the way to this path, and Dapr looks no further: no call comes to this operation",
                "name");
        }

        return (map, policy);
    }

    private static (YamlMap Map, AccessOperation Operation) ReadOperation(YamlMap map)
    {
        var verbs = map.Texts("httpVerb");
        if (verbs.Except(Verbs).ToList() is { Count: > 0 } others)
            map.Error($"expected {string.Join(", ", Verbs)}, got {string.Join(", ", others)}: Dapr compares the verbs of HTTP as they are written, and would match nothing", "httpVerb");
        var allows = ReadAction(map, "action");
        if (!map.Has("action"))
            map.Warning("expected allow or deny, got nothing; Dapr refuses these calls", "action");
        return (map, new(map.RequiredText("name", "a path such as /orders/**"), verbs, allows ?? false) { Location = map.Location });
    }

    /// <summary>Null where nothing is said. Dapr takes every other word for deny.</summary>
    private static bool? ReadAction(YamlMap map, string field) => map.OneOf(field, "allow", "deny") is { } action ? action == "allow" : null;

    private static TracingSettings ReadTracing(YamlMap? spec)
    {
        var tracing = spec?.Map("tracing");
        if (tracing is null)
            return ConfigurationResource.Default.Tracing;

        double? rate = null;
        if (tracing.Text("samplingRate") is { Length: > 0 } text)
        {
            rate = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var given) && given is >= 0 and <= 1 ? given : TracingSettings.DefaultRate;
            if (given != rate)
                tracing.Warning($"expected a number from 0 to 1, got \"{text}\"; Dapr starts without it, and takes one trace in ten thousand", "samplingRate");
        }

        var zipkin = tracing.Map("zipkin");
        var otel = tracing.Map("otel");
        var settings = new TracingSettings(rate, tracing.Flag("stdout") ?? false, ReadZipkin(zipkin), ReadOtel(otel));
        zipkin?.EndOfFields();
        otel?.EndOfFields();
        tracing.EndOfFields();
        return settings;
    }

    private static Uri? ReadZipkin(YamlMap? zipkin)
    {
        if (zipkin?.Text("endpointAddress") is not { Length: > 0 } address)
            return null;
        if (Uri.TryCreate(address, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps))
            return uri;
        zipkin.Error($"expected the address of a Zipkin server such as http://localhost:9411/api/v2/spans, got \"{address}\"", "endpointAddress");
        return null;
    }

    /// <summary>Null where daprd would send no spans either.</summary>
    private static OtelSettings? ReadOtel(YamlMap? otel)
    {
        if (otel is null)
            return null;
        var address = otel.Text("endpointAddress");
        var protocol = otel.OneOf("protocol", "grpc", "http");
        var scheme = otel.Flag("isSecure") ?? true ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        var headers = otel.Texts("headers").Select(header => header.Split('=', 2)).Where(header => header.Length == 2).Select(header => (header[0], header[1])).ToList();
        var timeout = otel.Duration("timeout");
        if (timeout == TimeSpan.Zero)
            otel.Error($"expected a time that a collector can answer in such as 10s, got \"{otel.Text("timeout")}\"", "timeout");
        if (string.IsNullOrEmpty(address))
            return null;
        if (string.IsNullOrEmpty(protocol))
        {
            otel.Warning("expected grpc or http, got nothing; Dapr sends no spans to a collector whose protocol it does not know", "protocol");
            return null;
        }

        if (!address.AsSpan().ContainsAny(NotOfAnAuthority)
            && Uri.TryCreate($"{scheme}://{address}{(protocol == "http" ? "/v1/traces" : "")}", UriKind.Absolute, out var uri))
            return new(uri, protocol == "http", headers, timeout);
        otel.Error($"expected host and port of a collector such as localhost:4317, got \"{address}\"", "endpointAddress");
        return null;
    }

    private static List<T> Read<T>(YamlMap? parent, string field, Func<YamlMap, T> read)
    {
        var items = new List<T>();
        foreach (var map in parent?.Maps(field) ?? [])
        {
            items.Add(read(map));
            map.EndOfFields();
        }

        return items;
    }
}
