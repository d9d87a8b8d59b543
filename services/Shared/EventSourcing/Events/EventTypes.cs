using System.Text.Json;
using System.Text.Json.Nodes;

namespace DaprOrders.EventSourcing;

/// <summary>
/// The event types that a service writes or reads: CLR type, name and schema version. Payloads of older schema versions pass through
/// upcasters, one per step, until they have the present shape.
/// </summary>
public sealed class EventTypes
{
    /// <summary>How payloads are written: camelCase, and a missing or null required member is an error.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private readonly Dictionary<Type, EventType> _byClrType = [];
    private readonly Dictionary<string, EventType> _byName = [];
    private readonly Dictionary<(string Name, int From), Func<JsonObject, JsonObject>> _upcasters = [];
    private readonly Dictionary<string, (int SchemaVersion, Func<JsonObject, JsonObject> Downcast)> _writtenAs = [];

    /// <summary>Every registered type, for contract tests.</summary>
    public IReadOnlyCollection<EventType> All => _byName.Values;

    /// <summary>Whether a type of this name is registered, in whatever schema version.</summary>
    public bool Knows(string name) => _byName.ContainsKey(name);

    /// <summary>Registers every sealed record that derives from <typeparamref name="TEvent"/> and lives beside it, in its present version 1.</summary>
    public EventTypes AddFamily<TEvent>()
    {
        foreach (var type in typeof(TEvent).Assembly.GetTypes())
        {
            if (type.IsSealed && typeof(TEvent).IsAssignableFrom(type) && !_byClrType.ContainsKey(type))
            {
                Add(type, type.Name, 1);
            }
        }

        return this;
    }

    /// <summary>Registers one type, or gives a registered one another name or a later schema version.</summary>
    public EventTypes Add<TEvent>(string? name = null, int schemaVersion = 1) => Add(typeof(TEvent), name ?? typeof(TEvent).Name, schemaVersion);

    /// <summary>How a payload of <paramref name="fromVersion"/> becomes one of the next version.</summary>
    public EventTypes Upcast(string name, int fromVersion, Func<JsonObject, JsonObject> upcast)
    {
        _upcasters.Add((name, fromVersion), upcast);
        return this;
    }

    /// <summary>
    /// Goes on writing an earlier schema version than the present one, which is only read: in the release before the one that writes it, while there is still
    /// somebody who does not understand it (docs/upgrades.md). The type and its upcasters are registered before it.
    /// </summary>
    /// <exception cref="ArgumentException">It could not be read here again.</exception>
    public EventTypes WriteAs(string name, int schemaVersion, Func<JsonObject, JsonObject> downcast)
    {
        var present = _byName.TryGetValue(name, out var type) ? type.SchemaVersion : throw new ArgumentException($"Expected a registered event type; got '{name}'.", nameof(name));
        if (schemaVersion < 1 || schemaVersion >= present)
            throw new ArgumentException($"Expected an earlier schema version of '{name}' than {present}; got {schemaVersion}.", nameof(schemaVersion));
        for (var version = schemaVersion; version < present; version++)
        {
            if (!_upcasters.ContainsKey((name, version)))
                throw new ArgumentException($"'{name}' as it is written, schema version {schemaVersion}, could not be read here: there is no upcaster from {version}.", nameof(schemaVersion));
        }

        _writtenAs.Add(name, (schemaVersion, downcast));
        return this;
    }

    /// <exception cref="UnknownEventException">The CLR type is not registered.</exception>
    public EventType Of(object payload) => Of(payload.GetType());

    /// <summary>The payload as it is stored, and in which schema version that is.</summary>
    /// <exception cref="UnknownEventException">The CLR type is not registered.</exception>
    public (EventType Type, int SchemaVersion, JsonElement Data) Write(object payload)
    {
        var type = Of(payload);
        var data = JsonSerializer.SerializeToElement(payload, type.ClrType, Json);
        return _writtenAs.TryGetValue(type.Name, out var former)
            ? (type, former.SchemaVersion, JsonSerializer.SerializeToElement(former.Downcast(JsonObject.Create(data)!)))
            : (type, type.SchemaVersion, data);
    }

    /// <exception cref="UnknownEventException">The CLR type is not registered.</exception>
    public string NameOf(Type clrType) => Of(clrType).Name;

    private EventType Of(Type clrType) => _byClrType.TryGetValue(clrType, out var type)
        ? type
        : throw new UnknownEventException($"The event type {clrType.FullName} is not registered; add it with AddFamily or Add.");

    /// <summary>Whom a payload is about: the members that all of its family have, as they are named in JSON.</summary>
    public static IReadOnlyDictionary<string, string?> IdentityOf(object payload) => payload.GetType().GetProperties()
        .Where(property => property.DeclaringType != payload.GetType())
        .ToDictionary(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name), property => property.GetValue(payload)?.ToString());

    /// <summary>The payload in its present shape.</summary>
    /// <exception cref="UnknownEventException">The name or the version is not known here.</exception>
    public object Read(RecordedEvent recorded)
    {
        if (!_byName.TryGetValue(recorded.Type, out var type))
        {
            throw new UnknownEventException(
                $"Stream {recorded.Stream}, version {recorded.Version}: the event type '{recorded.Type}' is not known here.")
            { IsNewer = true };
        }

        if (recorded.SchemaVersion == type.SchemaVersion)
        {
            return Deserialize(recorded, type, recorded.Data);
        }

        return Deserialize(recorded, type, JsonSerializer.SerializeToElement(Upcasted(recorded, type)));
    }

    private JsonObject Upcasted(RecordedEvent recorded, EventType type)
    {
        var json = JsonObject.Create(recorded.Data) ?? [];
        for (var version = recorded.SchemaVersion; version != type.SchemaVersion; version++)
        {
            if (version > type.SchemaVersion || !_upcasters.TryGetValue((type.Name, version), out var upcast))
            {
                throw new UnknownEventException(
                    $"Stream {recorded.Stream}, version {recorded.Version}: '{recorded.Type}' has schema version {recorded.SchemaVersion}; "
                    + $"this service reads {type.SchemaVersion} and has no upcaster from {version}.")
                { IsNewer = version > type.SchemaVersion };
            }

            json = upcast(json);
        }

        return json;
    }

    private static object Deserialize(RecordedEvent recorded, EventType type, JsonElement data)
    {
        try
        {
            return data.Deserialize(type.ClrType, Json)
                ?? throw new UnknownEventException($"Stream {recorded.Stream}, version {recorded.Version}: the payload of '{type.Name}' is null.");
        }
        catch (JsonException exception)
        {
            throw new UnknownEventException(
                $"Stream {recorded.Stream}, version {recorded.Version}: the payload of '{type.Name}' (schema version {recorded.SchemaVersion}) "
                + $"does not fit: {exception.Message}",
                exception);
        }
    }

    private EventTypes Add(Type clrType, string name, int schemaVersion)
    {
        if (_byClrType.Remove(clrType, out var former))
        {
            _byName.Remove(former.Name);
        }

        var type = new EventType(clrType, name, schemaVersion);
        _byClrType.Add(clrType, type);
        _byName.Add(name, type);
        return this;
    }
}

public sealed record EventType(Type ClrType, string Name, int SchemaVersion);

/// <summary>An event that this service cannot read. It is never skipped: a message goes to the dead letters, a load fails.</summary>
public sealed class UnknownEventException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Its type or schema version is none of this program: one of a later version wrote it.</summary>
    public bool IsNewer { get; init; }
}
