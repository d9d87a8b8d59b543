// librdkafka's imitation of a Kafka broker, for as long as the standard input is open: it writes the port that it listens to on 127.0.0.1, and keeps
// everything in memory. Argument: the port that it tells its clients to come to, where somebody passes them on.
using System.Globalization;
using System.Runtime.InteropServices;

const int Producer = 0;
const int Brokers = 1;
const int Broker = 1;

var client = Librdkafka.New(Producer, Librdkafka.NewConfiguration(), nint.Zero, 0);
var cluster = Librdkafka.NewCluster(client, Brokers);
Librdkafka.SetRebalanceDelay(cluster, 0);
var address = Marshal.PtrToStringUTF8(Librdkafka.Bootstraps(cluster))!;
Librdkafka.SetHostAndPort(cluster, Broker, "127.0.0.1", int.Parse(args[0], CultureInfo.InvariantCulture));
Console.WriteLine(address[(address.LastIndexOf(':') + 1)..]);
Console.In.ReadToEnd();

/// <summary>rdkafka.h and rdkafka_mock.h.</summary>
internal static partial class Librdkafka
{
    private const string Library = "librdkafka";

    /// <summary>As Confluent's client does: the first build needs libsasl2, which is not everywhere on Linux.</summary>
    private static readonly string[] Builds = [Library, $"centos8-{Library}", $"alpine-{Library}"];

    static Librdkafka() => NativeLibrary.SetDllImportResolver(typeof(Librdkafka).Assembly, (_, assembly, path) =>
    {
        nint found = 0;
        return Builds.Any(build => NativeLibrary.TryLoad(build, assembly, path, out found)) ? found : throw new DllNotFoundException(Library);
    });

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_new")]
    internal static partial nint NewConfiguration();

    [LibraryImport(Library, EntryPoint = "rd_kafka_new")]
    internal static partial nint New(int type, nint configuration, nint errorText, nuint errorTextSize);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_new")]
    internal static partial nint NewCluster(nint client, int brokers);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_bootstraps")]
    internal static partial nint Bootstraps(nint cluster);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_host_port", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void SetHostAndPort(nint cluster, int broker, string host, int port);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_group_initial_rebalance_delay_ms")]
    internal static partial void SetRebalanceDelay(nint cluster, int milliseconds);
}
