namespace DaprOrders.EventSourcing;

/// <summary>How much goes into one call where a work takes several. The simulation makes them small, so that every work does.</summary>
internal sealed record Chunks
{
    /// <summary>Segments that an adopter settles between two writes of the head.</summary>
    public int SettledSegments { get; init; } = 32;

    public int LogSegments { get; init; } = 32;

    /// <summary>Of a lane that holds hardly any events; whoever asks for a page must not wait for the end of it.</summary>
    public int LogSegmentsPerPage { get; init; } = 1024;

    /// <summary>A page of the log, and what the relay reads back at once, ends with the segment that reaches it.</summary>
    public int LogBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Events that are read along with those that are wanted, rather than by a call of their own.</summary>
    public int LogGap { get; init; } = 32;

    public int Pages { get; init; } = 16;

    public int Tips { get; init; } = 64;

    public int Names { get; init; } = 256;

    public int GatheredKeys { get; init; } = 64;

    public int PublishedEvents { get; init; } = 200;

    public int PublishedBytes { get; init; } = 2 * 1024 * 1024;
}
