package sabir;

import java.util.Map;

/** What the engine, or a function that it called, answered. */
public class SabirException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final String type;
    private final String hint;
    private final transient Map<String, Object> data;

    public SabirException(String type, String message, String hint, Map<String, Object> data) {
        super(message);
        this.type = type;
        this.hint = hint;
        this.data = data;
    }

    /** In snake_case: "unknown_function", "timeout", … */
    public String type() {
        return type;
    }

    /** What to do next, or "". */
    public String hint() {
        return hint;
    }

    /** The place in a user's file, or "". */
    public String file() {
        return data.get("file") instanceof String file ? file : "";
    }

    /** The line in that file, or 0. */
    public int line() {
        return data.get("line") instanceof Long line ? line.intValue() : 0;
    }

    /** Everything else that the error says. */
    public Map<String, Object> data() {
        return data;
    }
}
