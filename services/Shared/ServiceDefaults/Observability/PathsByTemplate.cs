using System.Diagnostics;
using System.Text.RegularExpressions;
using OpenTelemetry;

namespace DaprOrders.ServiceDefaults.Observability;

/// <summary>
/// Paths leave the process as they are mapped, not as they were called: <c>/customers/{customerId}/orders</c>. Who a customer is, is nothing for telemetry.
/// </summary>
internal sealed partial class PathsByTemplate : BaseProcessor<Activity>
{
    private const string Path = "url.path";
    private const string Url = "url.full";

    public override void OnEnd(Activity activity)
    {
        if (activity.GetTagItem(Path) is not null)
        {
            activity.SetTag(Path, activity.GetTagItem("http.route") ?? "(no route)");
            activity.SetTag("url.query", null);
        }

        if (activity.GetTagItem(Url) is string called)
            activity.SetTag(Url, Uri.TryCreate(called, UriKind.Absolute, out var uri) ? uri.GetLeftPart(UriPartial.Authority) + Shortened(uri.AbsolutePath) : null);
    }

    private static string Shortened(string path)
    {
        var known = Known().Match(path).Value;
        return known.Length == path.Length ? path : $"{known}/...";
    }

    /// <summary>As much of a called path as has no id in it: a method of the sidecar, a component of it, the first part of somebody's route.</summary>
    [GeneratedRegex(@"\A(/dapr\.proto\.[^/]+/[^/]+|/v1\.0/invoke/[^/]+/method/[^/]+|/v1\.0/[^/]+(/[^/]+)?|/[^/]*)")]
    private static partial Regex Known();
}
