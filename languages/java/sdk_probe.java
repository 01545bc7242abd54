import java.util.List;
import java.util.Map;
import sabir.Answer;
import sabir.Context;
import sabir.FunctionInfo;
import sabir.Memory;
import sabir.Message;
import sabir.Sabir;
import sabir.SabirException;

/** Does through the SDK what tests/languages/sdk_behaviour.json asks. */
class sdk_probe {
    record ProbeError(String type, String message, String hint) {
    }

    record ProbeItem(String key, Object value) {
    }

    record ProbeAnswer(String content, boolean conversation_is_set) {
    }

    /** The SDK's call. */
    public static Object probeCall(String address, Map<String, Object> arguments) {
        return Sabir.call(address, arguments);
    }

    /** The error that comes. */
    public static ProbeError probeCallError(String address, Map<String, Object> arguments) {
        try {
            Sabir.call(address, arguments);
        } catch (SabirException failed) {
            return new ProbeError(failed.type(), failed.getMessage(), failed.hint());
        }
        throw new IllegalStateException("there was no error");
    }

    /** The addresses of all functions. */
    public static List<String> probeFunctions() {
        return Sabir.functions().stream().map(FunctionInfo::address).sorted().toList();
    }

    /**
     * Memory put.
     *
     * @param namespace where (default "")
     */
    public static long probePut(String key, Object value, String namespace) {
        return Sabir.memory(namespace).put(key, value);
    }

    /** Conditional put. */
    public static Map<String, Object> probePutIf(String key, Object value, long version) {
        try {
            return Map.of("version", Sabir.memory().putIf(key, value, version));
        } catch (SabirException failed) {
            return Map.of("type", failed.type());
        }
    }

    /**
     * Memory get.
     *
     * @param namespace where (default "")
     */
    public static Object probeGet(String key, String namespace) {
        return Sabir.memory(namespace).get(key);
    }

    /** Memory list. */
    public static List<ProbeItem> probeList(String prefix) {
        return Sabir.memory().list(prefix).stream().map((Memory.Item item) -> new ProbeItem(item.key(), item.value())).toList();
    }

    /** Memory delete. */
    public static boolean probeDelete(String key) {
        return Sabir.memory().delete(key);
    }

    /** Adds a message. */
    public static long probeAppend(String conversation, String role, String content) {
        return Sabir.memory().append(conversation, new Message(role, content));
    }

    /**
     * The last messages.
     *
     * @param limit how many (default 0)
     */
    public static List<Message> probeMessages(String conversation, int limit) {
        return Sabir.memory().messages(conversation, limit);
    }

    /** A completion's text. */
    public static String probeRender(String name, Map<String, Object> variables) {
        return Sabir.render(name, variables);
    }

    /** A model's reply. */
    public static String probeComplete(String prompt) {
        return Sabir.complete(prompt).content();
    }

    /** Asks an assistant. */
    public static ProbeAnswer probeAsk(String assistant, String message) {
        Answer answer = Sabir.ask(assistant, message);
        return new ProbeAnswer(answer.content(), !answer.conversation().isEmpty());
    }

    /**
     * A secret's value.
     *
     * @secrets probe_secret
     */
    public static String probeSecret(String name) {
        return Sabir.secret(name);
    }

    /** The type of the error. */
    public static String probeSecretError(String name) {
        try {
            return Sabir.secret(name);
        } catch (SabirException failed) {
            return failed.type();
        }
    }

    /** Reports each step. */
    public static int probeProgress(int steps) {
        for (int i = 1; i <= steps; i++) {
            Sabir.progress(i, steps, "");
        }
        return steps;
    }

    /** Writes one record. */
    public static String probeLog(String message) {
        Sabir.log("info", message);
        return message;
    }

    /** The caller's context. */
    public static Context probeContext(Context context) {
        return context;
    }
}
