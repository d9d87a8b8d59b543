// An application small enough to be started, killed and restarted many times in a test. Arguments: what it does, one after another.
using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

foreach (var argument in args)
{
    switch (argument.Split('=', 2))
    {
        case ["say", var text]:
            Console.WriteLine(text);
            break;
        case ["complain", var text]:
            Console.Error.WriteLine(text);
            break;
        case ["environment", var file]:
            File.WriteAllLines(file, Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(e => $"{e.Key}={e.Value}").Append($"cwd={Environment.CurrentDirectory}"));
            break;
        case ["deaf"]:
            // Whatever asks it to end is not heard; kept for the life of the process.
            AppContext.SetData("deaf", new[] { PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGINT }.Select(s => PosixSignalRegistration.Create(s, c => c.Cancel = true)).ToArray());
            break;
        case ["child", var file]:
            var child = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [typeof(Program).Assembly.Location, "deaf", "wait"]))!;
            File.WriteAllText(file, child.Id.ToString(CultureInfo.InvariantCulture));
            break;
        case ["listen"]:
            Listen(int.Parse(Environment.GetEnvironmentVariable("APP_PORT")!, CultureInfo.InvariantCulture));
            break;
        case ["wait"]:
            Thread.Sleep(Timeout.Infinite);
            break;
        case ["exit", var code]:
            return int.Parse(code, CultureInfo.InvariantCulture);
        default:
            throw new ArgumentException($"\"{argument}\" is not known");
    }
}

return 0;

// Every request is answered 200, in as little HTTP as there is.
static void Listen(int port)
{
    var listener = new TcpListener(IPAddress.Loopback, port);
    listener.Start();
    while (true)
    {
        using var client = listener.AcceptTcpClient();
        using var stream = client.GetStream();
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { Length: > 0 })
        {
        }

        stream.Write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"u8);
    }
}
