package sabir.internal;

import java.util.Map;

/** Trees for code that takes any. */
public final class Plain {
    private Plain() {
    }

    /** Decimals become Double, or BigDecimal where no double holds them. */
    public static Object of(Object tree) {
        return Scalars.plain(tree);
    }

    /** A member that is an object; empty where there is none. */
    public static Map<String, Object> object(Map<String, Object> in, String name) {
        Map<String, Object> found = Json.object(of(in.get(name)));
        return found == null ? Map.of() : found;
    }
}
