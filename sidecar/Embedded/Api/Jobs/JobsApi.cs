using System.Text.RegularExpressions;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Jobs;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Api.Jobs;

/// <summary>The jobs of one application, alike over HTTP and gRPC (dapr pkg/api/universal/jobs.go).</summary>
internal sealed partial class JobsApi(SidecarOptions options, JobScheduler scheduler, ILogger logger)
{
    private JobOwner Mine { get; } = Owner(options);

    public static JobOwner Owner(SidecarOptions options) => new(options.Namespace, options.AppId);

    public static JobsApi Of(SidecarRuntime runtime) => new(runtime.Options, runtime.Shared.Jobs, runtime.Logger);

    public void Schedule(Job? job, bool overwrite)
    {
        if (job is null)
            throw JobErrors.Empty(Mine, "Job", "DAPR_SCHEDULER_EMPTY");
        // Bars part the names that the Scheduler service keeps.
        CheckGiven(job.Name.Contains('|', StringComparison.Ordinal) ? "" : job.Name);
        if (job is { HasSchedule: false, HasDueTime: false })
            throw JobErrors.Empty(Mine, "Schedule", "DAPR_SCHEDULER_SCHEDULE_EMPTY");
        Try(JobErrors.Schedule, () =>
        {
            CheckName(job.Name);
            try
            {
                scheduler.Schedule(new(Mine, job.Name), job, overwrite);
            }
            catch (FormatException e)
            {
                throw JobErrors.Schedule(Mine, Unknown($"job failed validation: {e.Message}"));
            }
            catch (JobExistsException e)
            {
                throw JobErrors.Exists(Mine, e.Message);
            }
        });
    }

    public Job Get(string name)
    {
        CheckGiven(name);
        var job = Try(JobErrors.Get, () =>
        {
            CheckName(name);
            return scheduler.Find(new(Mine, name));
        });
        return job ?? throw JobErrors.Get(Mine, $"rpc error: code = NotFound desc = job not found: {name}");
    }

    public void Delete(string name)
    {
        CheckGiven(name);
        Try(JobErrors.Delete, () =>
        {
            CheckName(name);
            scheduler.Delete(new(Mine, name));
        });
    }

    public IEnumerable<Job> List() => Try(JobErrors.List, () => scheduler.List(Mine, "").Select(record => record.Job));

    /// <summary>All of them, where the prefix is empty.</summary>
    public void DeleteByPrefix(string prefix) => Try(JobErrors.Delete, () =>
    {
        CheckName(prefix + "a");
        foreach (var record in scheduler.List(Mine, prefix))
            scheduler.Delete(record.Key);
    });

    private void Try(Func<JobOwner, string, ApiException> refusal, Action act) => Try(refusal, () =>
    {
        act();
        return true;
    });

    private T Try<T>(Func<JobOwner, string, ApiException> refusal, Func<T> act)
    {
        if (!options.PlacementEnabled)
            throw refusal(Mine, "scheduler clients are disabled");
        try
        {
            return act();
        }
        catch (FormatException e)
        {
            throw refusal(Mine, Unknown(e.Message));
        }
        catch (Exception e) when (e is IOException or SqliteException)
        {
            logger.LogError(e, "The jobs of {AppId} cannot be kept", options.AppId);
            throw refusal(Mine, Unknown(e.Message));
        }
    }

    private void CheckGiven(string name)
    {
        if (name.Length == 0)
            throw JobErrors.Empty(Mine, "Name", "DAPR_SCHEDULER_JOB_NAME_EMPTY");
    }

    /// <summary>The key of a job without what go-etcd-cron takes out of it (internal/api/validator) must consist of names as hosts have them.</summary>
    private void CheckName(string name) => CheckKey(new JobKey(Mine, name).ToString());

    /// <exception cref="FormatException">The Scheduler service does not take it.</exception>
    internal static void CheckKey(string key)
    {
        key = Ignored().Replace(key, "");
        if (!key.Split("||").All(part => part.Length <= 253 && Subdomain().IsMatch(part)))
        {
            throw new FormatException(
                $"job name is invalid \"{key}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
                + "an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
        }
    }

    internal static string Unknown(string reason) => $"rpc error: code = Unknown desc = {reason}";

    [GeneratedRegex("[_: -]")]
    private static partial Regex Ignored();

    [GeneratedRegex(@"^[a-zA-Z0-9]+(\.[a-zA-Z0-9]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Subdomain();
}
