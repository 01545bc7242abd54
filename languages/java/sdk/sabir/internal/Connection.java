package sabir.internal;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * One connection of the worker protocol (spec/worker-protocol.md): frames, messages, and the requests that wait for answers.
 *
 * <p>Threads: any may send and ask; one reads, in serve().
 */
public final class Connection {
    private static final int MOST_BYTES = 64 << 20;
    private static final int MOST_BLOBS = 1024;
    private static final int LONGEST_HEAD = 16384;
    private static final int LARGE = 1 << 16;
    private static final long MOST_UNREAD = 64L << 20;

    /** A request or a notification. The id's text is null for a notification. */
    public record Message(String id, String method, Map<String, Object> params, List<byte[]> blobs) {
    }

    /** What a request came to: a result, or an error. */
    public record Answer(Map<String, Object> result, Map<String, Object> error, List<byte[]> blobs) {
    }

    /** Takes requests and notifications, on the reading thread. */
    public interface Handler {
        void take(Message message);
    }

    /** The connection ended before the answer came. */
    public static final class Closed extends Exception {
        private static final long serialVersionUID = 1;
    }

    /** Chunks that lie unread have outgrown their bound. */
    public static final class TooMuch extends Exception {
        private static final long serialVersionUID = 1;
    }

    private static final Object ENDED = new Object();
    private static final Object OVERFLOW = new Object();

    private static final class Waiting {
        final LinkedBlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
        final boolean stream;
        long unread;

        Waiting(boolean stream) {
            this.stream = stream;
        }
    }

    private record Chunk(Object value, long size) {
    }

    private final InputStream in;
    private final OutputStream out;
    private final Object outLock = new Object();
    private final Growing unsent = new Growing();
    private final Map<Long, Waiting> waiting = new HashMap<>();
    private long next = 1;
    private boolean closed;
    /** Set before serve(). */
    public Handler handler;

    public Connection(InputStream in, OutputStream out) {
        this.in = new BufferedInputStream(in, LARGE);
        this.out = out;
    }

    private static final class Growing extends ByteArrayOutputStream {
        Growing() {
            super(8192);
        }

        void leaveTo(OutputStream to) throws IOException {
            to.write(buf, 0, count);
            count = 0;
            if (buf.length > 1 << 20) {
                buf = new byte[8192];
            }
        }
    }

    private static final class BrokenFrame extends IOException {
        private static final long serialVersionUID = 1;

        BrokenFrame(String message) {
            super(message);
        }
    }

    /** The sizes in a frame's head; null at the end of the connection. */
    private int[] head() throws IOException {
        int[] sizes = new int[4];
        int count = 0;
        int length = 0;
        int digits = 0;
        long size = 0;
        long total = 0;
        boolean zero = false;
        while (true) {
            int c = in.read();
            if (c < 0) {
                return null;
            }
            if (c != '\n' && ++length > LONGEST_HEAD) {
                throw new BrokenFrame("a frame's head is longer than " + LONGEST_HEAD + " bytes");
            }
            if (c >= '0' && c <= '9') {
                if (zero || ++digits > 9) {
                    throw new BrokenFrame("a frame's head is malformed");
                }
                zero = digits == 1 && c == '0';
                size = size * 10 + (c - '0');
                continue;
            }
            if ((c != ' ' && c != '\n') || digits == 0) {
                throw new BrokenFrame("a frame's head is malformed");
            }
            total += size;
            if (total > MOST_BYTES || count > MOST_BLOBS) {
                throw new BrokenFrame("a frame is larger than the protocol allows");
            }
            if (count == sizes.length) {
                sizes = java.util.Arrays.copyOf(sizes, count * 4);
            }
            sizes[count++] = (int) size;
            if (c == '\n') {
                return java.util.Arrays.copyOf(sizes, count);
            }
            digits = 0;
            size = 0;
            zero = false;
        }
    }

    private byte[] exactly(int size) throws IOException {
        byte[] bytes = in.readNBytes(size);
        if (bytes.length < size) {
            throw new EOFException();
        }
        return bytes;
    }

    /** Reads until the connection ends. A frame that breaks the rules is answered and ends it. */
    public void serve() {
        try {
            while (true) {
                int[] sizes = head();
                if (sizes == null) {
                    return;
                }
                byte[] text = exactly(sizes[0]);
                List<byte[]> blobs = sizes.length == 1 ? List.of() : new ArrayList<>(sizes.length - 1);
                for (int i = 1; i < sizes.length; i++) {
                    blobs.add(exactly(sizes[i]));
                }
                take(text, blobs);
            }
        } catch (BrokenFrame broken) {
            answerError(null, -32600, "protocol", broken.getMessage(), Map.of());
            flush();
        } catch (IOException gone) {
            // The other side is not there any more.
        } finally {
            end();
        }
    }

    private void take(byte[] text, List<byte[]> blobs) {
        Map<String, Object> object;
        try {
            object = Json.object(Json.parse(text));
        } catch (Json.Malformed malformed) {
            answerError(null, -32700, "protocol", "a frame's JSON text does not parse: " + malformed.getMessage(), Map.of());
            flush();
            return;
        }
        boolean isCall = object != null && object.get("method") instanceof String;
        boolean isAnswer = object != null && !object.containsKey("method") && object.get("id") != null
            && (object.containsKey("result") || object.get("error") instanceof Map);
        if (object == null || !"2.0".equals(object.get("jsonrpc")) || !(isCall || isAnswer)) {
            answerError(null, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object", Map.of());
            flush();
            return;
        }
        if (isAnswer) {
            if (object.get("id") instanceof Long id) {
                Waiting asked;
                synchronized (waiting) {
                    asked = waiting.remove(id);
                }
                if (asked != null) {
                    asked.arrived.add(new Answer(Json.object(object.get("result")), Json.object(object.get("error")), blobs));
                }
            }
            return;
        }
        String method = (String) object.get("method");
        Map<String, Object> params = Json.object(object.get("params"));
        if (!object.containsKey("id")) {
            if (method.equals("chunk") && params != null && params.get("id") instanceof Long id) {
                chunk(id, params.get("value"), text.length);
                return;
            }
            handler.take(new Message(null, method, params, blobs));
            return;
        }
        StringBuilder id = new StringBuilder();
        Json.write(id, object.get("id"));
        handler.take(new Message(id.toString(), method, params, blobs));
    }

    private void chunk(long id, Object value, long size) {
        Waiting asked;
        synchronized (waiting) {
            asked = waiting.get(id);
            if (asked == null || !asked.stream || asked.unread < 0) {
                return;
            }
            asked.unread += size;
            if (asked.unread > MOST_UNREAD) {
                asked.unread = -1;
                asked.arrived.add(OVERFLOW);
                return;
            }
        }
        asked.arrived.add(new Chunk(value, size));
    }

    private void end() {
        synchronized (waiting) {
            closed = true;
            for (Waiting asked : waiting.values()) {
                asked.arrived.add(ENDED);
            }
            waiting.clear();
        }
    }

    // Sending ----------------------------------------------------------------------------------------------------------

    private void put(CharSequence text, List<byte[]> blobs) {
        byte[] json = text.toString().getBytes(StandardCharsets.UTF_8);
        StringBuilder head = new StringBuilder(16).append(json.length);
        for (byte[] blob : blobs) {
            head.append(' ').append(blob.length);
        }
        head.append('\n');
        synchronized (outLock) {
            unsent.writeBytes(head.toString().getBytes(StandardCharsets.US_ASCII));
            unsent.writeBytes(json);
            for (byte[] blob : blobs) {
                unsent.writeBytes(blob);
            }
        }
    }

    public boolean hasUnsent() {
        synchronized (outLock) {
            return unsent.size() > 0;
        }
    }

    /** Writes what is queued; false when the other side is gone. */
    public boolean flush() {
        synchronized (outLock) {
            if (unsent.size() == 0) {
                return true;
            }
            try {
                unsent.leaveTo(out);
                return true;
            } catch (IOException gone) {
                unsent.reset();
                return false;
            }
        }
    }

    /** Queues an answer; flush() sends it. `result` is JSON. */
    public void answer(String id, CharSequence result, List<byte[]> blobs) {
        put(new StringBuilder(result.length() + 64).append("{\"jsonrpc\":\"2.0\",\"id\":").append(id).append(",\"result\":").append(result).append('}'), blobs);
    }

    /** Queues an error answer; `more` adds members to its data. */
    public void answerError(String id, int code, String type, String message, Map<String, Object> more) {
        Map<String, Object> data = new HashMap<>(more);
        data.put("type", type);
        StringBuilder text = new StringBuilder("{\"jsonrpc\":\"2.0\",\"id\":").append(id).append(",\"error\":{\"code\":").append(code).append(",\"message\":");
        Json.write(text, message);
        text.append(",\"data\":");
        Json.write(text, data);
        put(text.append("}}"), List.of());
    }

    /** Sends a notification at once. */
    public void notify(String method, CharSequence params, List<byte[]> blobs) {
        put(new StringBuilder("{\"jsonrpc\":\"2.0\",\"method\":\"").append(method).append("\",\"params\":").append(params).append('}'), blobs);
        flush();
    }

    /** What hears of values that are streamed, on the asking thread; false ends the request. */
    public interface Each {
        boolean take(Object tree);
    }

    /**
     * Sends a request and waits for its answer.
     *
     * @param each takes streamed values; may be null
     * @param milliseconds how long to wait; 0 = as long as it takes
     * @return the answer; null when the time is over or `each` has had enough
     * @throws InterruptedException when the thread is interrupted; the engine is told that nobody waits any more
     */
    public Answer ask(String method, CharSequence params, List<byte[]> blobs, Each each, long milliseconds) throws InterruptedException, Closed, TooMuch {
        // A socket that an interrupted thread writes to is closed.
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        Waiting asked = new Waiting(each != null);
        long id;
        synchronized (waiting) {
            if (closed) {
                throw new Closed();
            }
            id = next++;
            waiting.put(id, asked);
        }
        put(new StringBuilder("{\"jsonrpc\":\"2.0\",\"id\":").append(id).append(",\"method\":\"").append(method).append("\",\"params\":").append(params).append('}'), blobs);
        boolean answered = false;
        try {
            if (!flush()) {
                throw new Closed();
            }
            long deadline = milliseconds == 0 ? 0 : System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds);
            while (true) {
                Object got = deadline == 0 ? asked.arrived.take() : asked.arrived.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
                if (got == ENDED) {
                    answered = true;
                    throw new Closed();
                }
                if (got == OVERFLOW) {
                    throw new TooMuch();
                }
                if (got instanceof Chunk chunk) {
                    synchronized (waiting) {
                        asked.unread -= asked.unread < 0 ? 0 : chunk.size;
                    }
                    if (!each.take(chunk.value)) {
                        return null;
                    }
                    continue;
                }
                answered = got != null;
                return (Answer) got;
            }
        } finally {
            if (!answered) {
                synchronized (waiting) {
                    waiting.remove(id);
                }
                notify("cancel", "{\"id\":" + id + ",\"reason\":\"the caller has given up\"}", List.of());
            }
        }
    }
}
