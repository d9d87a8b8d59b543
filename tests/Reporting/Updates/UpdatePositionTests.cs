using DaprOrders.Reporting.Updates;

namespace DaprOrders.Reporting.Tests.Updates;

public sealed class UpdatePositionTests
{
    [Fact]
    public void A_position_that_comes_back_is_the_one_that_was_given()
    {
        var position = UpdatePosition.Start
            .MovedTo("0c5a-b", new LanePosition(12))
            .MovedTo("7", new LanePosition(3, "order.1_a-Z", 2))
            .MovedTo("z", new LanePosition(0));

        Assert.Equal("0c5a-b:12,7:3:order.1_a-Z:2,z:0", position.ToString());
        Assert.Equal(position.Lanes, UpdatePosition.Parse(position.ToString())!.Lanes);
        Assert.Empty(UpdatePosition.Parse(UpdatePosition.Start.ToString())!.Lanes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("0:")]
    [InlineData("0:-1")]
    [InlineData("0:1:o")]
    [InlineData("0:0:o:1")]
    [InlineData("0:1:o:x")]
    [InlineData("0:1:o/2:1")]
    [InlineData("0:1,0:2")]
    [InlineData("0:1,")]
    [InlineData("a b:1")]
    [InlineData("0:99999999999999999999")]
    public void A_text_that_is_no_position_is_none(string text) => Assert.Null(UpdatePosition.Parse(text));

    [Fact]
    public void Within_a_batch_orders_come_by_id_and_version_and_the_whole_batch_last()
    {
        LanePosition[] inOrder =
        [
            new(0), new(1, "a", 1), new(1, "a", 2), new(1, "b", 1), new(1), new(2, "a", 3), new(2),
        ];

        Assert.Equal(inOrder, inOrder.Reverse().Order());
        Assert.Equal([0, 0, 0, 0, 1, 1, 2], inOrder.Select(position => position.Whole));
    }

    [Fact]
    public void A_position_reaches_another_when_it_does_in_every_lane()
    {
        var position = UpdatePosition.Start.MovedTo("0", new LanePosition(5)).MovedTo("1", new LanePosition(2, "b", 1));

        Assert.True(position.Reaches(position));
        Assert.True(position.Reaches(position.MovedTo("1", new LanePosition(2, "a", 7))));
        Assert.True(position.Reaches(UpdatePosition.Start));
        Assert.False(position.Reaches(position.MovedTo("1", new LanePosition(2))));
        Assert.False(position.Reaches(position.MovedTo("2", new LanePosition(1))));
    }
}
