using EmbeddedSidecar.Components.State;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>As Go reads it (strconv), and the stores of components-contrib what it gives.</summary>
public sealed class StateTtlTests
{
    [Theory]
    [InlineData("5", 5, 5)]
    [InlineData("+5", 5, 5)]
    [InlineData("-1", -1, -1)]
    [InlineData("-7", -7, "must be -1 or greater")]
    [InlineData("99999999999", int.MaxValue, "must be -1 or greater")]
    [InlineData("99999999999999999999", "value out of range", "value out of range")]
    [InlineData("-99999999999999999999", "value out of range", "value out of range")]
    [InlineData("soon", "invalid syntax", "invalid syntax")]
    [InlineData("1.5", "invalid syntax", "invalid syntax")]
    [InlineData("-", "invalid syntax", "invalid syntax")]
    public void A_number_is_read_as_the_store_does(string text, object loosely, object strictly)
    {
        Assert.Equal(loosely, Read(() => StateTtl.ReadLoosely(text)));
        Assert.Equal(strictly, Read(() => StateTtl.ReadStrictly(text)));
    }

    private static object Read(Func<int> read)
    {
        try
        {
            return read();
        }
        catch (StateStoreException e)
        {
            return e.Message.Split(": ")[^1];
        }
    }
}
