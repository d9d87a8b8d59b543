using System.Text;

namespace DaprOrders.Sidecar.Tests.Robustness;

/// <summary>Bodies that no caller means well with, by what they are.</summary>
internal static class HostileTexts
{
    /// <summary>Far beyond what any stack holds.</summary>
    private const int Deep = 200_000;

    public static IReadOnlyDictionary<string, byte[]> Bodies { get; } = new Dictionary<string, byte[]>
    {
        ["nothing"] = [],
        ["white space"] = " \r\n\t"u8.ToArray(),
        ["null"] = "null"u8.ToArray(),
        ["a number"] = "1"u8.ToArray(),
        ["a text"] = "\"x\""u8.ToArray(),
        ["an object"] = "{}"u8.ToArray(),
        ["lists of the wrong things"] = "[null,1,\"x\",[],[[]],true]"u8.ToArray(),
        ["HTML"] = "<!doctype html><p>hello"u8.ToArray(),
        ["half an object"] = """[{"key":"a","value":{"b":"""u8.ToArray(),
        ["a byte order mark"] = [0xEF, 0xBB, 0xBF, .. "[]"u8],
        ["bytes that are no UTF-8"] = [(byte)'[', (byte)'{', (byte)'"', 0xFF, 0xFE, 0xC0, (byte)'"', (byte)':', (byte)'"', 0xED, 0xA0, 0x80, (byte)'"', (byte)'}', (byte)']'],
        ["halves of surrogates"] = """[{"key":"\ud800","value":"\udc00\ud800","entryId":"\ud800","event":"\ud800","contentType":"text/plain","\ud800":"\ud800"}]"""u8.ToArray(),
        ["NUL in names and values"] = """[{"key":"a\u0000b","value":"\u0000","entryId":"\u0000","event":"\u0000","\u0000":1}]"""u8.ToArray(),
        ["numbers that no double holds"] = """[{"key":"a","value":[1e400,-1e400,1e-400,123456789012345678901234567890]}]"""u8.ToArray(),
        ["names twice"] = """[{"key":"a","key":"b","value":{"c":1,"c":2},"metadata":{"x":"1","x":"2"}}]"""u8.ToArray(),
        ["wrong types"] = """[{"key":1,"value":2,"metadata":[],"etag":{},"options":3,"entryId":4,"event":5,"operation":6,"request":7}]"""u8.ToArray(),
        ["a long text"] = Encoding.UTF8.GetBytes($"[{{\"key\":\"{new string('k', 500_000)}\",\"value\":\"{new string('v', 500_000)}\"}}]"),
        ["open lists"] = Repeated("["),
        ["open objects"] = Repeated("{\"a\":"),
        ["closed lists"] = Repeated("]"),
        ["lists in lists"] = [.. Repeated("["), .. Repeated("]")],
        ["objects in objects"] = [.. Repeated("{\"a\":"), (byte)'1', .. Repeated("}")],
        ["lists and objects in turn"] = [.. Repeated("[{\"a\":"), (byte)'1', .. Repeated("}]")],
        ["a deep value"] = [.. "[{\"key\":\"a\",\"entryId\":\"1\",\"contentType\":\"application/json\",\"value\":"u8, .. Repeated("["), .. Repeated("]"), .. "}]"u8],
        ["a deep event"] = [.. "{\"id\":\"1\",\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"data\":"u8, .. Repeated("["), .. Repeated("]"), (byte)'}'],
        ["a value as deep as can be"] = [.. "[{\"key\":\"a\",\"entryId\":\"1\",\"contentType\":\"application/json\",\"event\":1,\"value\":"u8, .. Repeated("[", 9_998), .. Repeated("]", 9_998), .. "}]"u8],
        ["data as deep as can be"] = [.. "{\"dueTime\":\"1h\",\"id\":\"1\",\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"data\":"u8, .. Repeated("{\"a\":", 9_999), (byte)'1', .. Repeated("}", 9_999), (byte)'}'],
        ["times beyond the calendar"] = """{"dueTime":"2000000h","period":"290000000000h","ttl":"P999999999Y","data":1}"""u8.ToArray(),
        ["times that are none"] = """{"dueTime":"99999999999999999999999999999999999999h","period":"R/PT1S","ttl":"P","data":1}"""u8.ToArray(),
    };

    private static byte[] Repeated(string text, int times = Deep) => Encoding.UTF8.GetBytes(new StringBuilder(text.Length * times).Insert(0, text, times).ToString());
}
