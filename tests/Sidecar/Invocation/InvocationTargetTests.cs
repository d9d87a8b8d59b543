using EmbeddedSidecar.Api.Invocation;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Invocation;

public sealed class InvocationTargetTests
{
    [Theory]
    [InlineData("/v1.0/invoke/shop/method/orders/7?a=1", "shop", "orders/7")]
    [InlineData("/v1.0/invoke/shop/method/", "shop", "")]
    [InlineData("//v1.0/invoke/shop/method//orders", "shop", "/orders")]
    [InlineData("/v1.0/invoke/shop.default/method/orders", "shop.default", "orders")]
    [InlineData("/v1.0/invoke/http://127.0.0.1:80/method/x", "http://127.0.0.1:80", "x")]
    [InlineData("/v1.0/invoke/http%3A%2F%2F127.0.0.1/method/x", "http://127.0.0.1", "x")]
    [InlineData("/v1.0/invoke/shop/method/a%20b%25", "shop", "a b%")]
    public void The_path_names_the_application_and_the_method(string rawTarget, string id, string method) =>
        Assert.Equal(new InvocationTarget(id, method), InvocationTarget.Find(rawTarget, new HeaderDictionary()));

    [Theory]
    [InlineData("/v1.0/invoke/shop")]
    [InlineData("/v1.0/invoke/shop/method")]
    [InlineData("/v1.0/invoke//method/hello")]
    [InlineData("/v1.0/nowhere")]
    [InlineData("/")]
    public void Otherwise_there_is_no_target(string rawTarget) => Assert.Null(InvocationTarget.Find(rawTarget, new HeaderDictionary()));

    [Fact]
    public void The_header_goes_before_the_path() => Assert.Equal(
        new InvocationTarget("shop", "/orders"), InvocationTarget.Find("/orders?x=1", new HeaderDictionary { ["dapr-app-id"] = "shop" }));

    [Theory]
    [InlineData("ZGFwci1hcHAtaWQ6c2hvcA==", "shop")]
    [InlineData("dXNlcjpwYXNzd29yZA==", null)]
    [InlineData("no base64", null)]
    public void Basic_authentication_may_name_the_application(string credentials, string? id) => Assert.Equal(
        id, InvocationTarget.Find("/orders", new HeaderDictionary { ["Authorization"] = $"Basic {credentials}" })?.Id);

    [Theory]
    [InlineData("orders/7", "orders/7")]
    [InlineData("//orders", "orders")]
    [InlineData("x/../orders", "orders")]
    [InlineData("../../orders/./7/", "orders/7")]
    [InlineData("file.txt", "file.txt")]
    [InlineData("", "")]
    public void Paths_are_cleaned(string method, string cleaned) => Assert.Equal(cleaned, InvocationTarget.Normalize(method));

    [Theory]
    [InlineData("a#b", "method contains forbidden character: \"a#b\"")]
    [InlineData("a?b", "method contains forbidden character: \"a?b\"")]
    [InlineData("a\nb", "method contains control character at position 1: \"a\\nb\"")]
    public void What_cannot_stand_in_a_path_is_refused(string method, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => InvocationTarget.Normalize(method)).Message);
}
