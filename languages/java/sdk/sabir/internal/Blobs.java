package sabir.internal;

import java.util.List;
import java.util.Map;

/** Puts a frame's blobs into their places: strings as String, byte sequences as byte[]. */
public final class Blobs {
    private Blobs() {
    }

    /** @throws IllegalArgumentException when the list and the frame do not fit together */
    public static void place(Map<String, Object> into, List<byte[]> blobs) {
        Object listed = into.get("blobs");
        List<?> places = listed == null ? List.of() : listed instanceof List<?> list ? list : null;
        if (places == null || places.size() != blobs.size()) {
            throw new IllegalArgumentException("the frame has " + blobs.size() + " blobs, the list names " + (places == null ? "none" : places.size()));
        }
        for (int i = 0; i < blobs.size(); i++) {
            Map<String, Object> place = Json.object(places.get(i));
            if (place == null || !(place.get("at") instanceof String at) || !(place.get("type") instanceof String type)) {
                throw new IllegalArgumentException("a blob's entry has to have at and type");
            }
            put(into, at, value(type, blobs.get(i)));
        }
    }

    private static Object value(String type, byte[] blob) {
        switch (type) {
            case "bytes":
                return blob;
            case "string":
                try {
                    return Json.text(blob);
                } catch (Json.Malformed wrong) {
                    throw new IllegalArgumentException("a string blob is not UTF-8");
                }
            default:
                throw new IllegalArgumentException("a blob has the unknown type '" + type + "'");
        }
    }

    private static void put(Object into, String at, Object value) {
        if (!at.startsWith("/")) {
            throw new IllegalArgumentException("a blob's place '" + at + "' is no pointer to a member");
        }
        String[] path = at.substring(1).split("/", -1);
        Object inside = into;
        for (int i = 0; i < path.length; i++) {
            String name = path[i].replace("~1", "/").replace("~0", "~");
            boolean last = i == path.length - 1;
            if (inside instanceof Map<?, ?> map && map.containsKey(name)) {
                inside = last ? replace(Json.object(map), name, at, value) : map.get(name);
            } else if (inside instanceof List<?> list && name.matches("0|[1-9][0-9]{0,8}") && Integer.parseInt(name) < list.size()) {
                inside = last ? replace(list, Integer.parseInt(name), at, value) : list.get(Integer.parseInt(name));
            } else {
                throw new IllegalArgumentException("a blob's place '" + at + "' is not there");
            }
        }
    }

    private static Object replace(Map<String, Object> map, String name, String at, Object value) {
        if (map.get(name) != null) {
            throw new IllegalArgumentException("a blob's place '" + at + "' is not null");
        }
        return map.put(name, value);
    }

    @SuppressWarnings("unchecked")
    private static Object replace(List<?> list, int index, String at, Object value) {
        if (list.get(index) != null) {
            throw new IllegalArgumentException("a blob's place '" + at + "' is not null");
        }
        return ((List<Object>) list).set(index, value);
    }
}
