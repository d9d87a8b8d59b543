using System.Text;
using Npgsql;

namespace EmbeddedSidecar.Components.PostgreSql;

/// <summary>
/// Reads the connection strings that Go's driver takes, <c>host=... port=... user=... dbname=...</c> and <c>postgres://user:password@host/db</c>,
/// and hands them on in the words of ours.
/// </summary>
internal static class PostgresConnectionString
{
    private static readonly string[] WithoutEffect =
        ["pool_health_check_period", "pool_max_conn_lifetime_jitter", "statement_cache_capacity", "description_cache_capacity", "client_encoding"];

    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["host"] = "Host",
        ["hostaddr"] = "Host",
        ["port"] = "Port",
        ["user"] = "Username",
        ["password"] = "Password",
        ["dbname"] = "Database",
        ["database"] = "Database",
        ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["sslpassword"] = "SSL Password",
        ["application_name"] = "Application Name",
        ["connect_timeout"] = "Timeout",
        ["search_path"] = "Search Path",
        ["timezone"] = "Timezone",
        ["options"] = "Options",
        ["pool_max_conns"] = "Maximum Pool Size",
        ["pool_min_conns"] = "Minimum Pool Size",
    };

    /// <exception cref="FormatException">It is of neither form, or names what is not known; says what.</exception>
    public static IReadOnlyDictionary<string, string> Parse(string text) =>
        text.StartsWith("postgres://", StringComparison.Ordinal) || text.StartsWith("postgresql://", StringComparison.Ordinal) ? ParseUrl(text) : ParseWords(text);

    /// <param name="settings">In Go's words.</param>
    /// <exception cref="FormatException">A word or a value that is not known; what it is is told only beside no password, which might be a part of it.</exception>
    public static NpgsqlConnectionStringBuilder Translate(IReadOnlyDictionary<string, string> settings)
    {
        var hasPassword = settings.ContainsKey("password") || settings.ContainsKey("sslpassword");
        var builder = new NpgsqlConnectionStringBuilder();
        foreach (var (name, value) in settings)
        {
            if (WithoutEffect.Contains(name))
                continue;
            if (!Names.TryGetValue(name, out var ours))
            {
                // Where a password with blanks is not in quotes, a part of it is taken for a word.
                var which = hasPassword ? "any other (a value with blanks stands in single quotes)" : $"'{name}'";
                throw new FormatException($"with words that are known here ({string.Join(", ", Names.Keys)}), without {which}");
            }

            try
            {
                // verify-ca and verify-full have no hyphen here.
                builder[ours] = name == "sslmode" ? value.Replace("-", "", StringComparison.Ordinal) : value;
            }
            catch (ArgumentException e)
            {
                throw new FormatException($"with a usable value of '{name}'{(hasPassword ? "" : $", not '{value}'")}", e);
            }
        }

        return builder;
    }

    private static Dictionary<string, string> ParseUrl(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url))
            throw new FormatException("a URL such as postgres://user:password@host:5432/database");

        var settings = new Dictionary<string, string>();
        var user = url.UserInfo.Split(':', 2);
        Add("host", url.Host);
        Add("port", url.Port > 0 ? url.Port.ToString(System.Globalization.CultureInfo.InvariantCulture) : "");
        Add("user", user[0]);
        Add("password", user.Length > 1 ? user[1] : "");
        Add("dbname", url.AbsolutePath.TrimStart('/'));
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            Add(parts[0], parts.Length > 1 ? parts[1] : "");
        }

        return settings;

        void Add(string name, string value)
        {
            if (value.Length > 0)
                settings[name] = Uri.UnescapeDataString(value);
        }
    }

    /// <summary>As libpq: words of <c>name=value</c>, white space between them and around the sign, quotes around a value, a backslash before a quote.</summary>
    private static Dictionary<string, string> ParseWords(string text)
    {
        var settings = new Dictionary<string, string>();
        var at = 0;
        while (SkipSpace())
        {
            var sign = text.IndexOf('=', at);
            if (sign < 0)
                throw new FormatException("of the form \"host=... port=... user=... password=... dbname=...\", or a postgres:// URL");
            var name = text[at..sign].Trim();
            at = sign + 1;
            settings[name] = SkipSpace() && text[at] == '\'' ? Quoted() : Plain();
        }

        return settings;

        bool SkipSpace()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
                at++;
            return at < text.Length;
        }

        string Plain()
        {
            var value = new StringBuilder();
            for (; at < text.Length && !char.IsWhiteSpace(text[at]); at++)
            {
                if (text[at] == '\\' && at + 1 < text.Length)
                    at++;
                value.Append(text[at]);
            }

            return value.ToString();
        }

        string Quoted()
        {
            var value = new StringBuilder();
            for (at++; at < text.Length && text[at] != '\''; at++)
            {
                if (text[at] == '\\' && at + 1 < text.Length)
                    at++;
                value.Append(text[at]);
            }

            if (at == text.Length)
                throw new FormatException("with a closing quote");
            at++;
            return value.ToString();
        }
    }
}
