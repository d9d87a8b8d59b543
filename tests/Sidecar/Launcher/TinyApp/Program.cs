// An application small enough to be started, killed and restarted many times in a test. Arguments: what it does, one after another.
using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

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
            Listen(IPAddress.Loopback, _ => (200, "", "{}"));
            break;
        case ["case"]:
            return RunCase(Environment.GetEnvironmentVariable("MODE") ?? "");
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

// The application of the folders in Cases: MODE says how it behaves.
static int RunCase(string mode)
{
    switch (mode)
    {
        case "exit1":
            return 1;
        case "late":
            Thread.Sleep(TimeSpan.FromMinutes(10));
            break;
        case "say":
            Console.WriteLine("hello-from-app");
            break;
    }

    Listen(mode == "ipv6" ? IPAddress.IPv6Loopback : IPAddress.Loopback, path => mode switch
    {
        "307" => (307, "Location: https://localhost:1/\r\n", ""),
        "401" => (401, "", ""),
        "405" => (405, "", ""),
        "413" => (413, "", ""),
        "html" => (200, "Content-Type: text/html\r\n", "<!doctype html><p>x</p>"),
        "object" when path == "/dapr/subscribe" => (200, "", "{\"a\":1}"),
        _ => path == "/hello" ? (200, "", "hello") : (404, "", ""),
    });
    return 0;
}

// In as little HTTP as there is: a body is left unread, and every connection closed.
static void Listen(IPAddress address, Func<string, (int Status, string Headers, string Body)> answer)
{
    var listener = new TcpListener(address, int.Parse(Environment.GetEnvironmentVariable("APP_PORT")!, CultureInfo.InvariantCulture));
    listener.Start();
    while (true)
    {
        using var client = listener.AcceptTcpClient();
        using var stream = client.GetStream();
        using var reader = new StreamReader(stream);
        // One that only looks whether the port is open says nothing.
        if (reader.ReadLine()?.Split(' ') is not [_, var path, _])
            continue;
        while (reader.ReadLine() is { Length: > 0 })
        {
        }

        var (status, headers, body) = answer(path);
        stream.Write(Encoding.UTF8.GetBytes($"HTTP/1.1 {status} X\r\nContent-Length: {body.Length}\r\n{headers}Connection: close\r\n\r\n{body}"));
    }
}
