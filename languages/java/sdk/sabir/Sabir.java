package sabir;

import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import sabir.internal.Channel;
import sabir.internal.Connection;
import sabir.internal.Json;
import sabir.internal.Plain;
import sabir.internal.Running;

/**
 * The SDK of a Sabir project: functions in every language, memory, prompts, models and secrets.
 *
 * <p>Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context. In any
 * other process (a test, a service) the SDK joins the project's running engine or starts a private one; there is one connection per
 * process. Every error that the engine gives is a {@link SabirException}. A request whose thread is interrupted is given up with the
 * type "cancelled".
 *
 * <p>Threads: any.
 */
public final class Sabir {
    public static final String VERSION = Channel.VERSION;

    private Sabir() {
    }

    /** Arguments by name: {@code args("text", text, "times", 2)}. Values may be null. */
    public static Map<String, Object> args(Object... namesAndValues) {
        if (namesAndValues.length % 2 != 0) {
            throw new IllegalArgumentException("arguments are pairs of a name and a value; there are " + namesAndValues.length);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            out.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return out;
    }

    /**
     * Calls a function of the project, in whatever language it is written.
     *
     * @param address "module.function", "function", or with a language in front: "ruby/module.function"
     * @param arguments by name
     */
    public static Object call(String address, Map<String, ?> arguments) {
        return as(Object.class, address, arguments);
    }

    /** Calls a function and gives its value as a T. */
    @SuppressWarnings("unchecked")
    public static <T> T call(Class<T> type, String address, Map<String, ?> arguments) {
        return (T) as(type, address, arguments);
    }

    /** Calls a function and gives its value as a T: {@code call(new TypeRef<List<Order>>() {}, …)}. */
    @SuppressWarnings("unchecked")
    public static <T> T call(TypeRef<T> type, String address, Map<String, ?> arguments) {
        return (T) as(type.type(), address, arguments);
    }

    private static Object as(Type type, String address, Map<String, ?> arguments) {
        Map<String, Object> result = Channel.request("functions.call", args("address", address, "arguments", arguments == null ? Map.of() : arguments), "arguments", null);
        return Channel.value(result.get("value"), type, "the value of " + address);
    }

    /** Calls a function and hands over each value that it yields, as it comes; one that yields nothing gives its one value. */
    public static <T> void stream(Class<T> type, String address, Map<String, ?> arguments, Consumer<? super T> each) {
        stream((Type) type, address, arguments, each);
    }

    /** Calls a function and hands over each value that it yields, as it comes; one that yields nothing gives its one value. */
    public static <T> void stream(TypeRef<T> type, String address, Map<String, ?> arguments, Consumer<? super T> each) {
        stream(type.type(), address, arguments, each);
    }

    @SuppressWarnings("unchecked")
    private static <T> void stream(Type type, String address, Map<String, ?> arguments, Consumer<? super T> each) {
        Connection.Each take = tree -> {
            each.accept((T) Channel.value(tree, type, "a value of " + address));
            return true;
        };
        Map<String, Object> result = Channel.request("functions.call",
            args("address", address, "arguments", arguments == null ? Map.of() : arguments, "stream", true), "arguments", take);
        if (Json.number(result, "streamed", 0) == 0) {
            take.take(result.get("value"));
        }
    }

    /** The project's functions. */
    public static List<FunctionInfo> functions() {
        List<FunctionInfo> out = new ArrayList<>();
        for (Map<String, Object> one : Json.objects(Channel.request("functions.list", args(), null, null).get("functions"))) {
            out.add(new FunctionInfo(Json.string(one, "address"), Json.string(one, "language"), Json.string(one, "summary"), Json.string(one, "effect"),
                Plain.object(one, "input_schema"), Plain.object(one, "output_schema")));
        }
        return out;
    }

    /** The store, in the namespace that the engine uses where none is named. */
    public static Memory memory() {
        return new Memory("");
    }

    /** A namespace of the store. */
    public static Memory memory(String namespace) {
        return new Memory(namespace);
    }

    /** A completion template's text with the variables filled in. */
    public static String render(String name, Map<String, ?> variables) {
        return Json.string(Channel.request("completions.render", args("name", name, "variables", variables == null ? Map.of() : variables), "variables", null), "text");
    }

    /** A model's completion of one text. */
    public static Reply complete(String prompt) {
        return complete(Completion.of(prompt));
    }

    /** A model's completion of messages. */
    public static Reply complete(Completion asked) {
        Map<String, Object> params = args("messages", asked.messages());
        putIfThere(params, "model", asked.model());
        putIfThere(params, "tools", asked.tools());
        putIfThere(params, "output_schema", asked.outputSchema());
        putIfThere(params, "parameters", asked.parameters());
        Map<String, Object> result = Channel.request("models.complete", params, "messages", null);
        @SuppressWarnings("unchecked")
        List<Object> calls = result.get("tool_calls") instanceof List<?> list ? (List<Object>) Plain.of(list) : List.of();
        return new Reply(Json.string(result, "content"), Json.string(result, "model"), Json.string(result, "provider"), Json.string(result, "finish_reason"),
            Plain.object(result, "usage"), calls);
    }

    private static void putIfThere(Map<String, Object> params, String name, Object value) {
        if (value != null) {
            params.put(name, value);
        }
    }

    /** An assistant's answer to the first message of a new conversation. */
    public static Answer ask(String assistant, String message) {
        return ask(assistant, message, "");
    }

    /** An assistant's answer in a conversation; "" begins a new one. */
    public static Answer ask(String assistant, String message, String conversation) {
        Map<String, Object> params = args("name", assistant, "message", message);
        if (conversation != null && !conversation.isEmpty()) {
            params.put("conversation", conversation);
        }
        Map<String, Object> result = Channel.request("assistants.run", params, "message", null);
        List<Map<String, Object>> calls = Json.objects(Plain.of(result.get("calls")));
        return new Answer(Json.string(result, "content"), Json.string(result, "conversation"), Json.string(result, "model"), calls);
    }

    /** A secret's value, if the running function is granted it. Keep it out of results and logs. */
    public static String secret(String name) {
        return Json.string(Channel.request("secrets.get", args("name", name), null, null), "value");
    }

    /** Tells the caller how far the running call is; total 0 = unknown. Does nothing outside a worker. */
    public static void progress(double done, double total, String message) {
        String call = Channel.runningCall();
        if (Channel.worker() == null || call == null || Double.isNaN(done) || Double.isInfinite(done)) {
            return;
        }
        Map<String, Object> params = args("done", whole(done), "message", message == null ? "" : message);
        if (total > 0 && !Double.isInfinite(total)) {
            params.put("total", whole(total));
        }
        Channel.worker().notify("progress", "{\"id\":" + call + "," + Json.write(params).substring(1), List.of());
    }

    private static Number whole(double number) {
        return number == Math.rint(number) && Math.abs(number) < 1e15 ? (Number) (long) number : (Number) number;
    }

    /** Writes one record into the engine's log; on standard error outside a worker. level: debug, info, warning or error. */
    public static void log(String level, String message) {
        if (Channel.worker() == null) {
            System.err.println(level + ": " + message);
            return;
        }
        String call = Channel.runningCall();
        String params = Json.write(args("level", level, "message", message));
        Channel.worker().notify("log", call == null ? params : "{\"id\":" + call + "," + params.substring(1), List.of());
    }

    /** Who the running call is made for; empty texts outside a call. */
    public static Context context() {
        return Running.context();
    }

    /** Whether the running call was cancelled or is past its deadline; its thread is interrupted as well. */
    public static boolean cancelled() {
        return Running.cancelled() || Thread.currentThread().isInterrupted();
    }
}
