using DaprOrders.Console.Shell;

namespace DaprOrders.Console.Tests;

public sealed class WordsTests
{
    [Theory]
    [InlineData(0, "now")]
    [InlineData(42, "42 s ago")]
    [InlineData(61, "1 min ago")]
    [InlineData(3 * 3600, "3 h ago")]
    [InlineData(80 * 3600, "3 d ago")]
    public void What_has_passed_is_said_in_one_unit(int seconds, string said) => Assert.Equal(said, Words.Since(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(0.048, "48 ms")]
    [InlineData(1.25, "1.3 s")]
    [InlineData(75, "1 min 15 s")]
    [InlineData(3723, "1 h 2 min")]
    public void A_duration_is_as_exact_as_it_is_short(double seconds, string said) => Assert.Equal(said, Words.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData("", "–")]
    [InlineData("2026-11-27T12:00:01.5+00:00", "2026-11-27 12:00:01.500 UTC")]
    [InlineData("DO-50B1", "DO-50B1")]
    [InlineData("2026-01-01T00:00:00 wrong address", "2026-01-01T00:00:00 wrong address")]
    [InlineData("2026-13-01T00:00:00", "2026-13-01T00:00:00")]
    public void Values_are_written_as_people_read_them(string value, string said) => Assert.Equal(said, Words.Value(value));

    [Fact]
    public void Names_in_camel_case_are_words() => Assert.Equal("stock reserved", Words.Plain("stockReserved"));
}
