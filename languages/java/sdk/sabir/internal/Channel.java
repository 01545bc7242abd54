package sabir.internal;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import sabir.SabirException;

/**
 * Where requests go: over the worker's own connection, or in any other process to the project's running engine or a private one.
 *
 * <p>Threads: any.
 */
public final class Channel {
    public static final String VERSION = "0.1.0";
    private static final long CONNECT_MS = 10_000;

    private static Connection worker;
    private static Supplier<String> running = () -> null;
    private static Connection client;

    private Channel() {
    }

    /** For the worker: from now on requests go over its connection; `runningCall` gives the id of the call that runs. */
    public static synchronized void serveWorker(Connection connection, Supplier<String> runningCall) {
        worker = connection;
        running = runningCall;
    }

    /** The worker's connection; null in every other process. */
    public static Connection worker() {
        return worker;
    }

    public static String runningCall() {
        return running.get();
    }

    /** What a request's answer is read by. */
    public interface Take<T> {
        T from(Map<String, Object> result);
    }

    /**
     * One request.
     *
     * @param large the member that may hold large values, or null
     * @param each takes streamed values, or null
     */
    public static Map<String, Object> request(String method, Map<String, Object> params, String large, Connection.Each each) {
        Connection connection = worker != null ? worker : client();
        StringBuilder text = new StringBuilder("{");
        List<byte[]> blobs = List.of();
        String parent = running.get();
        if (parent != null) {
            text.append("\"parent\":").append(parent).append(',');
        }
        try {
            if (large != null) {
                Json.quote(text, large);
                text.append(':');
                Writer writer = new Writer(text, "/" + large);
                writer.write(params.get(large));
                CharSequence places = writer.places();
                blobs = writer.blobs;
                text.append(places == null ? "" : ",\"blobs\":" + places).append(',');
            }
            for (Map.Entry<String, Object> one : params.entrySet()) {
                if (!one.getKey().equals(large)) {
                    Json.quote(text, one.getKey());
                    new Writer(text.append(':'), "").write(one.getValue());
                    text.append(',');
                }
            }
        } catch (Unfit unfit) {
            throw new SabirException("invalid_arguments", method + " cannot be sent: " + unfit.getMessage(), "", Map.of());
        }
        text.setCharAt(text.length() - 1, text.length() == 1 ? '{' : '}');
        if (text.length() == 1) {
            text.append('}');
        }
        return answer(connection, method, text, blobs, each, 0);
    }

    private static Map<String, Object> answer(Connection connection, String method, CharSequence params, List<byte[]> blobs, Connection.Each each, long milliseconds) {
        Connection.Answer answer;
        try {
            answer = connection.ask(method, params, blobs, each, milliseconds);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new SabirException("cancelled", method + " was given up: its caller was interrupted", "", Map.of());
        } catch (Connection.TooMuch tooMuch) {
            throw new SabirException("limit", method + " streamed more than 64 MiB that nobody took", "take the values faster", Map.of());
        } catch (Connection.Closed closed) {
            drop(connection);
            throw new SabirException("outcome_unknown", "the engine went away during " + method + "; it may or may not have happened",
                "try again; `sabir engine status` tells whether an engine runs", Map.of());
        }
        if (answer == null) {
            return null;
        }
        if (answer.error() != null) {
            throw failed(answer.error());
        }
        if (answer.result() == null) {
            throw new SabirException("protocol", "the engine's answer to " + method + " is no object", "", Map.of());
        }
        try {
            Blobs.place(answer.result(), answer.blobs());
        } catch (IllegalArgumentException wrong) {
            throw new SabirException("protocol", "the engine's answer: " + wrong.getMessage(), "", Map.of());
        }
        return answer.result();
    }

    private static SabirException failed(Map<String, Object> error) {
        Map<String, Object> data = Json.object(error.get("data"));
        data = data == null ? new LinkedHashMap<>() : data;
        Scalars.plain(data);
        String type = Json.string(data, "type");
        return new SabirException(type.isEmpty() ? "internal" : type, Json.string(error, "message"), Json.string(data, "hint"), data);
    }

    // Outside a worker -------------------------------------------------------------------------------------------------

    private static synchronized Connection client() {
        if (client == null) {
            client = connect();
        }
        return client;
    }

    private static synchronized void drop(Connection connection) {
        if (client == connection) {
            client = null;
        }
    }

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static Path project() {
        String given = environment("SABIR_PROJECT", "");
        Path start = Path.of(given).toAbsolutePath();
        for (Path folder = start; folder != null; folder = given.isEmpty() ? folder.getParent() : null) {
            if (Files.isRegularFile(folder.resolve("sabir.yml"))) {
                return folder;
            }
        }
        throw new SabirException("no_project", "no Sabir project at " + start + ": there is no sabir.yml",
            "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`", Map.of());
    }

    private static Connection connect() {
        Path root = project();
        String environment = environment("SABIR_ENV", "development");
        if (!environment("SABIR_RECORD", "").isEmpty() || !environment("SABIR_REPLAY", "").isEmpty() || !environment("SABIR_STATE_DIR", "").isEmpty()
                || !environment("SABIR_ENGINE", "").isEmpty()) {
            // What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
            return attach(root, environment);
        }
        try {
            Map<String, Object> published = Json.object(Json.parse(Files.readAllBytes(root.resolve(".sabir").resolve(environment).resolve("engine.json"))));
            if (Json.number(published, "format", 0) == 1) {
                SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
                try {
                    socket.connect(UnixDomainSocketAddress.of(Json.string(published, "socket")));
                    return greet(Channels.newInputStream(socket), outputOf(socket), root);
                } catch (IOException | SabirException gone) {
                    socket.close();
                }
            }
        } catch (IOException | Json.Malformed none) {
            // No engine runs.
        }
        return attach(root, environment);
    }

    /** Not Channels.newOutputStream: that one shares a lock with the stream which reads. */
    private static OutputStream outputOf(SocketChannel socket) {
        return new OutputStream() {
            @Override
            public void write(int one) throws IOException {
                write(new byte[] {(byte) one}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(bytes, from, count);
                while (buffer.hasRemaining()) {
                    socket.write(buffer);
                }
            }
        };
    }

    private static Connection attach(Path root, String environment) {
        String binary = environment("SABIR_BIN", "sabir");
        if (!found(binary)) {
            throw new SabirException("unavailable", "the engine `" + binary + "` was not found", "put it on PATH, or set SABIR_BIN to its path", Map.of());
        }
        // Java passes on the three standard streams and no other descriptor.
        ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", "exec \"$@\" 3<&0 4>&1 </dev/null >&2", "sh", binary, "attach", "--project", root.toString(), "--env", environment);
        builder.environment().put("SABIR_FD", "3,4");
        builder.redirectError(ProcessBuilder.Redirect.INHERIT);
        Process process;
        try {
            process = builder.start();
        } catch (IOException wrong) {
            throw new SabirException("unavailable", "the engine `" + binary + "` does not start: " + wrong.getMessage(), "put it on PATH, or set SABIR_BIN to its path", Map.of());
        }
        // It ends with the connection; a process that ends waits for it, so that nothing is left half done.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                process.getOutputStream().close();
                process.waitFor(5, TimeUnit.SECONDS);
            } catch (IOException | InterruptedException gone) {
                // It is gone already.
            }
        }));
        try {
            return greet(process.getInputStream(), process.getOutputStream(), root);
        } catch (SabirException failed) {
            process.destroy();
            throw failed;
        }
    }

    private static boolean found(String binary) {
        if (binary.contains("/")) {
            return Files.isExecutable(Path.of(binary));
        }
        for (String folder : environment("PATH", "/usr/bin:/bin").split(":")) {
            if (Files.isExecutable(Path.of(folder, binary)) && !Files.isDirectory(Path.of(folder, binary))) {
                return true;
            }
        }
        return false;
    }

    private static Connection greet(InputStream in, OutputStream out, Path root) {
        Connection connection = new Connection(in, out instanceof java.io.BufferedOutputStream ? flushing(out) : out);
        connection.handler = message -> {
            if (message.id() != null) {
                if (message.method().equals("ping")) {
                    connection.answer(message.id(), "{}", List.of());
                } else {
                    connection.answerError(message.id(), -32601, "unknown_method", "unknown method " + message.method(), Map.of());
                }
                connection.flush();
            }
        };
        Thread reading = new Thread(connection::serve, "sabir");
        reading.setDaemon(true);
        reading.start();
        Map<String, Object> params = new LinkedHashMap<>();
        params.put("protocol", Map.of("min", 1, "max", 1));
        params.put("role", "client");
        params.put("sdk", VERSION);
        params.put("language", "java");
        params.put("project", root.toString());
        String user = environment("SABIR_USER", "");
        if (!user.isEmpty()) {
            params.put("context", Map.of("user", user));
        }
        if (answer(connection, "hello", Json.write(params), List.of(), null, CONNECT_MS) == null) {
            throw new SabirException("protocol", "the engine did not answer within " + CONNECT_MS / 1000 + " seconds",
                "`sabir doctor` looks for the cause; its messages are on standard error", Map.of());
        }
        return connection;
    }

    private static OutputStream flushing(OutputStream out) {
        return new OutputStream() {
            @Override
            public void write(int one) throws IOException {
                out.write(one);
                out.flush();
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                out.write(bytes, from, count);
                out.flush();
            }
        };
    }

    // Values -----------------------------------------------------------------------------------------------------------

    /** A tree as a value of a type. */
    public static Object value(Object tree, java.lang.reflect.Type type, String what) {
        try {
            return Readers.of(type).read(tree);
        } catch (Refused refused) {
            throw new SabirException("invalid_result", what + " does not fit " + type.getTypeName() + ": " + refused.getMessage(), "", Map.of());
        }
    }
}
