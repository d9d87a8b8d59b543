using System.Net.Sockets;

namespace EmbeddedSidecar.Hosting;

/// <summary>The socket file of an API, under the name that daprd gives it.</summary>
internal static class ApiSocket
{
    /// <summary>That a server can listen on: what a killed process has left there is gone.</summary>
    /// <param name="folder">Of the files.</param>
    /// <param name="appId">Whose sidecar.</param>
    /// <param name="api">http or grpc.</param>
    /// <exception cref="IOException">It cannot be listened on.</exception>
    public static string Free(string folder, string appId, string api)
    {
        if (!Socket.OSSupportsUnixDomainSockets)
            throw new IOException($"{appId} is to listen on Unix domain sockets, which this system does not have: leave unixDomainSocket out.");
        if (!Directory.Exists(folder))
            throw new IOException($"unixDomainSocket of {appId}: expected a folder, got \"{folder}\", which does not exist.");

        var file = Path.GetFullPath($"dapr-{appId}-{api}.socket", Path.GetFullPath(folder));
        if (IsListenedOn(file))
            throw new IOException($"{file} is in use: another sidecar of {appId} listens on it.");
        try
        {
            File.Delete(file);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{file} is left from another user's process, and cannot be removed: remove it as that user, or give another unixDomainSocket. {e.Message}", e);
        }

        return file;
    }

    private static bool IsListenedOn(string file)
    {
        UnixDomainSocketEndPoint address;
        try
        {
            address = new(file);
        }
        catch (ArgumentException e)
        {
            throw new IOException($"{file} cannot be a socket, of whose names the system takes about a hundred letters: give unixDomainSocket a shorter folder. {e.Message}", e);
        }

        if (!File.Exists(file))
            return false;
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            client.Connect(address);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return false;
        }
        catch (SocketException e)
        {
            // Whoever has no right to connect, or has to wait in line, does not know that nobody listens.
            throw new IOException($"{file} may be in use: {e.Message} Give another unixDomainSocket, or end whoever listens.", e);
        }
    }
}
