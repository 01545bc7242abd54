import java.time.LocalDate;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import sabir.Context;
import sabir.Sabir;
import sabir.SabirException;

/** What the conformance runner calls. conformance/README.md describes each function. */
class testee {
    static class TesteeError extends RuntimeException {
        private static final long serialVersionUID = 1;

        TesteeError(String message) {
            super(message);
        }
    }

    enum Colour { red, green }

    record Point(double x, double y) {
    }

    record Structured(Point point, Colour colour) {
    }

    private static int runCount;

    /** Gives its argument. */
    public static Object echo(Object value) {
        return value;
    }

    /** a - b. */
    public static double subtract(double a, double b) {
        return a - b;
    }

    /**
     * The arguments as they arrived.
     *
     * @param b (default 10)
     * @param scale (default 1)
     * @param options (default {})
     */
    public static Map<String, Object> describe(Object a, Object b, Object scale, Map<String, Object> options, Object... rest) {
        return Sabir.args("a", a, "b", b, "rest", rest, "scale", scale, "options", options);
    }

    /** The greeting and the caller's user, joined by a space. */
    public static String context_user(String greeting, Context context) {
        return greeting + " " + context.user();
    }

    /** The whole context. */
    public static Context context_fields(Context context) {
        return context;
    }

    /** Throws an error with that text. */
    public static void fail(String message) {
        throw new TesteeError(message); // conformance: fail
    }

    /** NaN, which JSON cannot carry. */
    public static List<Double> not_a_number() {
        return List.of(1.0, Double.NaN);
    }

    /** A value without any JSON form. */
    public static Object unfit() {
        return Thread.currentThread();
    }

    /** Yields 0 … n - 1. */
    public static Iterator<Integer> count(int n) {
        return IntStream.range(0, n).iterator();
    }

    /** `size` bytes of text. */
    public static String text_of(int size) {
        return "é".repeat(size / 2) + "x".repeat(size % 2);
    }

    /** `size` bytes, each its index modulo 256. */
    public static byte[] bytes_of(int size) {
        byte[] out = new byte[size];
        for (int i = 0; i < size; i++) {
            out[i] = (byte) i;
        }
        return out;
    }

    /** The characters of a string, the bytes of a byte sequence. */
    public static int length(Object value) {
        return value instanceof byte[] bytes ? bytes.length : ((String) value).codePointCount(0, ((String) value).length());
    }

    /** Tells bytes from text. */
    public static String kind(Object value) {
        return value instanceof byte[] ? "bytes" : value instanceof String ? "text" : "other";
    }

    /** Writes to standard output and standard error, which are the log. */
    public static String print_line(String text) {
        System.out.println(text);
        System.err.println(text);
        return text;
    }

    /** Waits without talking to the engine. */
    public static int sleep(int milliseconds) throws InterruptedException {
        Thread.sleep(milliseconds);
        return milliseconds;
    }

    /** functions.call of the engine. */
    public static Object call_engine(String address, Map<String, Object> arguments) {
        return Sabir.call(address, arguments);
    }

    /** The engine's error as a value. */
    public static Map<String, Object> call_engine_caught(String address) {
        try {
            return Sabir.args("value", Sabir.call(address, Map.of()));
        } catch (SabirException failed) {
            return Map.of("type", failed.type(), "message", failed.getMessage());
        }
    }

    /** Sends one progress and one log notification before the answer. */
    public static String report(String message) {
        Sabir.progress(1, 2, message);
        Sabir.log("info", message);
        return message;
    }

    /** How often it ran in this worker. */
    public static int count_run() {
        return ++runCount;
    }

    /** How often count_run ran in this worker. */
    public static int runs() {
        return runCount;
    }

    /** The day after. */
    public static LocalDate next_day(LocalDate day) {
        return day.plusDays(1);
    }

    /** The language's own structured types. */
    public static Structured structured() {
        return new Structured(new Point(1.5, 2), Colour.red);
    }
}
