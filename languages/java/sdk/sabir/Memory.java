package sabir;

import java.lang.reflect.Type;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import sabir.internal.Channel;
import sabir.internal.Json;
import sabir.internal.Plain;

/** The project's one store, which every language shares: {@code Sabir.memory()}, or a namespace of it. */
public final class Memory {
    private static final int PAGE = 1000;
    private final String namespace;

    Memory(String namespace) {
        this.namespace = namespace;
    }

    /** A stored value. */
    public record Item(String key, Object value, long version, long updatedMs) {
    }

    private Map<String, Object> params(String name, Object value) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put(name, value);
        if (!namespace.isEmpty()) {
            out.put("namespace", namespace);
        }
        return out;
    }

    /** Stores a value and gives its version: 1 for the first of that key, then 2, and so on. */
    public long put(String key, Object value) {
        return put(key, value, null, null);
    }

    /** Stores a value only when the item has this version; 0: only when the key is new. Throws SabirException of type "conflict". */
    public long putIf(String key, Object value, long version) {
        return put(key, value, version, null);
    }

    /** Stores a value that is forgotten after some time. */
    public long putFor(Duration time, String key, Object value) {
        return put(key, value, null, time);
    }

    private long put(String key, Object value, Long version, Duration time) {
        Map<String, Object> params = params("key", key);
        params.put("value", value);
        if (version != null) {
            params.put("if_version", version);
        }
        if (time != null) {
            params.put("ttl_ms", time.toMillis());
        }
        return Json.number(Channel.request("memory.put", params, "value", null), "version", 0);
    }

    /** An item's value; null where there is none. */
    public Object get(String key) {
        Item found = find(key);
        return found == null ? null : found.value;
    }

    /** An item's value as a T; null where there is none. */
    public <T> T get(Class<T> type, String key) {
        return type.cast(as(type, key));
    }

    /** An item's value as a T; null where there is none. */
    @SuppressWarnings("unchecked")
    public <T> T get(TypeRef<T> type, String key) {
        return (T) as(type.type(), key);
    }

    private Object as(Type type, String key) {
        Map<String, Object> result = Channel.request("memory.get", params("key", key), null, null);
        return Boolean.TRUE.equals(result.get("found")) ? Channel.value(result.get("value"), type, "the item " + key) : null;
    }

    /** An item with its version; null where there is none. */
    public Item find(String key) {
        Map<String, Object> result = Channel.request("memory.get", params("key", key), null, null);
        return Boolean.TRUE.equals(result.get("found")) ? item(key, result) : null;
    }

    private static Item item(String key, Map<String, Object> from) {
        return new Item(key, Plain.of(from.get("value")), Json.number(from, "version", 0), Json.number(from, "updated_ms", 0));
    }

    /** The items whose keys begin with `prefix`, in the order of their keys. */
    public List<Item> list(String prefix) {
        List<Item> all = new ArrayList<>();
        String after = "";
        while (true) {
            Map<String, Object> params = params("prefix", prefix);
            params.put("limit", PAGE);
            if (!after.isEmpty()) {
                params.put("after", after);
            }
            List<Map<String, Object>> items = Json.objects(Channel.request("memory.list", params, null, null).get("items"));
            for (Map<String, Object> one : items) {
                all.add(item(Json.string(one, "key"), one));
            }
            if (items.size() < PAGE) {
                return all;
            }
            after = all.get(all.size() - 1).key;
        }
    }

    /** Tells whether there was such an item. */
    public boolean delete(String key) {
        return Boolean.TRUE.equals(Channel.request("memory.delete", params("key", key), null, null).get("deleted"));
    }

    /** Adds a message to a conversation's log and gives its number. */
    public long append(String conversation, Message message) {
        Map<String, Object> params = new LinkedHashMap<>();
        params.put("conversation", conversation);
        params.put("message", message);
        return Json.number(Channel.request("memory.append", params, "message", null), "seq", 0);
    }

    /** A conversation's last messages, oldest first; limit 0 = the engine's own. */
    public List<Message> messages(String conversation, int limit) {
        Map<String, Object> params = new LinkedHashMap<>();
        params.put("conversation", conversation);
        if (limit > 0) {
            params.put("limit", limit);
        }
        List<Message> out = new ArrayList<>();
        for (Map<String, Object> one : Json.objects(Channel.request("memory.messages", params, null, null).get("messages"))) {
            Map<String, Object> message = Json.object(one.get("message"));
            out.add(new Message(Json.string(message, "role"), Json.string(message, "content")));
        }
        return out;
    }
}
