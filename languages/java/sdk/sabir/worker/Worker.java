package sabir.worker;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.channels.ClosedByInterruptException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.BaseStream;
import sabir.Context;
import sabir.SabirException;
import sabir.internal.Blobs;
import sabir.internal.Channel;
import sabir.internal.Connection;
import sabir.internal.Json;
import sabir.internal.Refused;
import sabir.internal.Running;
import sabir.internal.Unfit;
import sabir.internal.Writer;

/**
 * Serves a program's functions to the engine (spec/worker-protocol.md).
 *
 * <p>Threads: calls run one at a time on the main thread, which a cancellation interrupts; another one reads.
 */
final class Worker {
    /** A function that was faster than this has earlier answers held while it runs, in nanoseconds. */
    private static final long QUICK = 200_000;
    private static final int LONGEST_TRACE = 20_000;
    private static final int MOST_BYTES = (64 << 20) - 1024;
    private static final int MOST_BLOBS = 1024;
    /** How long what still runs may go on after the connection has ended, in milliseconds. */
    private static final long LAST_MS = 10_000;

    private final Connection connection;
    private final Program program;
    private final Thread calls = Thread.currentThread();
    private final ArrayDeque<Connection.Message> queue = new ArrayDeque<>();
    private boolean ended;
    private volatile String running;
    private String cancelReason;
    private volatile boolean leaving;

    Worker(InputStream in, OutputStream out, Program program) {
        this.program = program;
        connection = new Connection(in, out);
        connection.handler = this::take;
        Channel.serveWorker(connection, () -> running);
        Runtime.getRuntime().addShutdownHook(new Thread(this::exited));
    }

    void run() {
        Thread reading = new Thread(this::read, "sabir");
        reading.setDaemon(true);
        reading.start();
        while (true) {
            Connection.Message message = next();
            if (message == null) {
                leave(0);
            }
            if (message.method().equals("drain")) {
                connection.answer(message.id(), "{}", List.of());
                connection.flush();
                leave(0);
            }
            call(message);
        }
    }

    private void read() {
        connection.serve();
        synchronized (queue) {
            ended = true;
            if (running != null) {
                Running.cancel();
                calls.interrupt();
            }
            queue.notifyAll();
        }
        try {
            Thread.sleep(running == null ? 800 : LAST_MS);
        } catch (InterruptedException never) {
            // Nobody interrupts it.
        }
        Runtime.getRuntime().halt(1);
    }

    private void leave(int status) {
        leaving = true;
        Thread guard = new Thread(() -> {
            try {
                Thread.sleep(800);
            } catch (InterruptedException never) {
                // Nobody interrupts it.
            }
            Runtime.getRuntime().halt(status);
        });
        guard.setDaemon(true);
        guard.start();
        System.exit(status);
    }

    /** System.exit() in a function: its call is answered before the process ends. */
    private void exited() {
        String id = running;
        if (!leaving && id != null) {
            fail(id, "function_error", "the function called System.exit()", Map.of("error_class", "exit"));
            connection.flush();
        }
    }

    /** The next call or drain; null when the connection has ended. Answers leave before it waits. */
    private Connection.Message next() {
        synchronized (queue) {
            if (!queue.isEmpty()) {
                return ended ? null : queue.poll();
            }
        }
        connection.flush();
        synchronized (queue) {
            while (queue.isEmpty() && !ended) {
                try {
                    queue.wait();
                } catch (InterruptedException late) {
                    // A cancellation of a call that has ended meanwhile.
                }
            }
            return ended ? null : queue.poll();
        }
    }

    /** Everything that arrives; on the reading thread. */
    private void take(Connection.Message message) {
        String id = message.id();
        Map<String, Object> params = message.params();
        if (id == null) {
            if (message.method().equals("cancel") && params != null) {
                cancel(params);
            }
            return;
        }
        switch (message.method()) {
            case "call", "drain" -> {
                synchronized (queue) {
                    queue.add(message);
                    queue.notifyAll();
                }
                return;
            }
            case "ping" -> connection.answer(id, "{}", List.of());
            case "hello" -> hello(id, params);
            case "start" -> {
                if (params == null || !(params.get("project") instanceof String)) {
                    connection.answerError(id, -32602, "invalid_arguments", "start needs the project's folder", Map.of());
                } else {
                    connection.answer(id, "{}", List.of());
                }
            }
            default -> connection.answerError(id, -32601, "unknown_method", "unknown method " + message.method(), Map.of());
        }
        connection.flush();
    }

    private void hello(String id, Map<String, Object> params) {
        Map<String, Object> protocol = params == null ? null : Json.object(params.get("protocol"));
        long least = Json.number(protocol, "min", -1);
        long most = Json.number(protocol, "max", -1);
        if (least < 0 || most < 0) {
            connection.answerError(id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max", Map.of());
        } else if (least > 1 || most < 1) {
            connection.answerError(id, -32001, "protocol", "this worker speaks protocol 1", Map.of());
            connection.flush();
            leave(1);
        } else {
            connection.answer(id, "{\"protocol\":1,\"language\":\"java\",\"runtime\":\"" + Runtime.version().feature() + "." + Runtime.version().interim() + "."
                + Runtime.version().update() + "\",\"sdk\":\"" + Channel.VERSION + "\",\"capabilities\":{\"blobs\":true,\"chunks\":true,\"cancel\":true}}", List.of());
        }
    }

    private void cancel(Map<String, Object> params) {
        if (!params.containsKey("id")) {
            return;
        }
        String id = Json.write(params.get("id"));
        String reason = Json.string(params, "reason");
        synchronized (queue) {
            if (id.equals(running)) {
                cancelReason = reason;
                Running.cancel();
                calls.interrupt();
                return;
            }
            for (Iterator<Connection.Message> it = queue.iterator(); it.hasNext();) {
                Connection.Message queued = it.next();
                if (queued.method().equals("call") && queued.id().equals(id)) {
                    it.remove();
                    fail(id, "cancelled", "the call was cancelled before it ran", Map.of("reason", reason));
                    break;
                }
            }
        }
        connection.flush();
    }

    private void fail(String id, String type, String message, Map<String, Object> data) {
        connection.answerError(id, type.equals("invalid_arguments") ? -32602 : -32000, type, message, data);
    }

    // Calls ------------------------------------------------------------------------------------------------------------

    private void call(Connection.Message message) {
        String id = message.id();
        Map<String, Object> params = message.params();
        if (params == null || !(params.get("module") instanceof String module) || !(params.get("function") instanceof String name)) {
            fail(id, "invalid_arguments", "a call needs module, function and arguments", Map.of());
            return;
        }
        try {
            Blobs.place(params, message.blobs());
        } catch (IllegalArgumentException wrong) {
            fail(id, "invalid_arguments", wrong.getMessage(), Map.of());
            return;
        }
        Program.Function function = program.find(module, name);
        if (function == null) {
            fail(id, "unknown_function", module + " has no function " + name, Map.of());
            return;
        }
        Map<String, Object> given = Json.object(params.get("context"));
        Context context = new Context(Json.string(given, "user"), Json.string(given, "tenant"), Json.string(given, "conversation"), Json.string(given, "run"));
        if (!function.quick) {
            connection.flush();
        }
        synchronized (queue) {
            running = id;
            cancelReason = null;
            Running.begin(context);
        }
        long began = System.nanoTime();
        Runnable answer;
        try {
            program.load(module, function);
            answer = answered(id, function, run(id, function, params, context));
        } catch (Refused refused) {
            answer = () -> fail(id, "invalid_arguments", refused.getMessage(), Map.of());
        } catch (Unfit unfit) {
            answer = () -> fail(id, "invalid_result", name + " returned a value that JSON cannot carry: " + unfit.getMessage(),
                Map.of("hint", "return texts, finite numbers, booleans, null, lists, maps and records of them"));
        } catch (Program.LoadFailed failed) {
            answer = failure(id, "load_failed", failed.getCause());
        } catch (Throwable thrown) {
            answer = failure(id, "function_error", thrown);
        }
        function.quick = System.nanoTime() - began < QUICK;
        synchronized (queue) {
            running = null;
            Running.end();
            Thread.interrupted();
        }
        answer.run();
    }

    private Runnable answered(String id, Program.Function function, Object value) throws Unfit {
        StringBuilder text = new StringBuilder("{\"value\":");
        Writer writer = new Writer(text, "/value");
        writer.write(value);
        CharSequence places = writer.places();
        if (places != null) {
            text.append(",\"blobs\":").append(places);
        }
        text.append('}');
        long size = text.length();
        for (byte[] blob : writer.blobs) {
            size += blob.length;
        }
        if (size > MOST_BYTES || writer.blobs.size() > MOST_BLOBS) {
            return () -> fail(id, "invalid_result", function.name + " returned more than a frame can carry", Map.of());
        }
        return () -> connection.answer(id, text, writer.blobs);
    }

    private Object run(String id, Program.Function function, Map<String, Object> params, Context context) throws Throwable {
        Map<String, Object> given = Json.object(params.get("arguments"));
        given = given == null ? Map.of() : given;
        Program.Variant variant = choose(function, given);
        Object[] values = bind(variant, given, context);
        Thread.currentThread().setContextClassLoader(function.type.getClassLoader());
        Object value;
        try {
            value = variant.method.invoke(null, values);
        } catch (InvocationTargetException thrown) {
            throw thrown.getCause();
        }
        if (value instanceof CompletionStage<?> stage) {
            value = awaited(stage.toCompletableFuture());
        } else if (value instanceof Future<?> future) {
            value = awaited(future);
        }
        if (value instanceof BaseStream<?, ?> stream) {
            try (stream) {
                return yielded(id, stream.iterator());
            }
        }
        if (value instanceof Iterator<?> items) {
            return yielded(id, items);
        }
        if (variant.method.getReturnType() == Iterable.class && value instanceof Iterable<?> items) {
            return yielded(id, items.iterator());
        }
        return value;
    }

    private static Object awaited(Future<?> future) throws Throwable {
        try {
            return future.get();
        } catch (ExecutionException failed) {
            Throwable cause = failed.getCause();
            throw cause instanceof CompletionException && cause.getCause() != null ? cause.getCause() : cause;
        } catch (InterruptedException interrupted) {
            future.cancel(true);
            throw interrupted;
        }
    }

    /** The overload that takes these names. */
    private static Program.Variant choose(Program.Function function, Map<String, Object> given) throws Refused {
        if (function.variants.size() == 1) {
            return function.variants.get(0);
        }
        for (Program.Variant variant : function.variants) {
            int matched = 0;
            boolean lacks = false;
            for (Program.Parameter parameter : variant.parameters) {
                if (given.containsKey(parameter.name())) {
                    matched++;
                } else {
                    lacks |= !parameter.context() && !parameter.optional() && !parameter.hasDefault();
                }
            }
            if (matched == given.size() && !lacks) {
                return variant;
            }
        }
        throw new Refused("no overload of " + function.method + " takes exactly " + (given.isEmpty() ? "no arguments" : String.join(", ", given.keySet())));
    }

    private static Object[] bind(Program.Variant variant, Map<String, Object> given, Context context) throws Refused {
        Object[] values = new Object[variant.parameters.size()];
        int used = 0;
        for (int i = 0; i < values.length; i++) {
            Program.Parameter parameter = variant.parameters.get(i);
            boolean here = given.containsKey(parameter.name());
            Object tree = here ? given.get(parameter.name()) : parameter.fallback();
            used += here ? 1 : 0;
            if (parameter.context()) {
                if (here) {
                    throw new Refused("the context " + parameter.name() + " is no argument");
                }
                values[i] = context;
                continue;
            }
            if (!here && parameter.variadic()) {
                tree = List.of();
            } else if (!here && !parameter.hasDefault() && !parameter.optional()) {
                throw new Refused("argument /" + parameter.name() + " is missing");
            } else if (tree == null && !parameter.nullable()) {
                throw new Refused("argument /" + parameter.name() + ": expected a value, got null");
            }
            try {
                values[i] = variant.readers[i].read(tree);
            } catch (Refused refused) {
                String said = refused.getMessage();
                throw new Refused("argument /" + parameter.name() + (said.startsWith("/") ? "" : ": ") + said);
            }
        }
        if (used != given.size()) {
            for (String name : given.keySet()) {
                if (variant.parameters.stream().noneMatch(parameter -> parameter.name().equals(name))) {
                    throw new Refused(variant.method.getName() + " has no parameter " + name);
                }
            }
        }
        return values;
    }

    /** Sends each value as it comes, and gives all of them. */
    private List<Object> yielded(String id, Iterator<?> items) throws Unfit, InterruptedException {
        List<Object> all = new ArrayList<>();
        while (items.hasNext()) {
            Object item = items.next();
            if (Running.cancelled()) {
                throw new InterruptedException("the call was cancelled while it yielded");
            }
            StringBuilder text = new StringBuilder("{\"id\":").append(id).append(",\"value\":");
            Writer writer = new Writer(text, "/value");
            writer.write(item);
            CharSequence places = writer.places();
            connection.notify("chunk", text.append(places == null ? "" : ",\"blobs\":" + places).append('}'), writer.blobs);
            all.add(item);
        }
        return all;
    }

    // Errors -----------------------------------------------------------------------------------------------------------

    private Runnable failure(String id, String type, Throwable thrown) {
        Map<String, Object> data = new HashMap<>();
        data.put("error_class", thrown.getClass().getName());
        for (StackTraceElement frame : thrown.getStackTrace()) {
            String source = program.sourceOf(frame);
            if (source != null) {
                data.put("file", source);
                if (frame.getLineNumber() > 0) {
                    data.put("line", frame.getLineNumber());
                }
                break;
            }
        }
        StringWriter trace = new StringWriter();
        thrown.printStackTrace(new PrintWriter(trace));
        data.put("traceback", trace.getBuffer().length() > LONGEST_TRACE ? trace.getBuffer().substring(0, LONGEST_TRACE) + "…" : trace.toString());
        int deep = 0;
        for (Throwable cause = thrown; cause != null && deep < 20; cause = cause.getCause(), deep++) {
            if (cause instanceof SabirException engine) {
                data.put("cause", Map.of("type", engine.type(), "data", engine.data()));
                break;
            }
        }
        String message = thrown.getMessage();
        String text = message == null || message.isEmpty() ? thrown.getClass().getSimpleName() : type.equals("load_failed") ? thrown.toString() : message;
        boolean gaveUp = Running.cancelled() && (thrown instanceof InterruptedException || thrown instanceof ClosedByInterruptException || thrown instanceof CancellationException
            || thrown.getCause() instanceof InterruptedException || (thrown instanceof SabirException engine && engine.type().equals("cancelled")));
        if (gaveUp) {
            boolean late = "deadline".equals(cancelReason);
            return () -> fail(id, late ? "timeout" : "cancelled", late ? "its deadline passed" : "the call was cancelled", data);
        }
        return () -> fail(id, type, text, data);
    }
}
