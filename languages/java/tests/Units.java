package sabir.internal;

import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import sabir.TypeRef;

/** Unit tests without a framework, so that they run wherever a JDK is: Units VECTORS. Ends with 1 when one fails. */
public final class Units {
    private static int passed;
    private static int failed;

    private Units() {
    }

    private static void check(String what, Object expected, Object actual) {
        if (Objects.deepEquals(expected, actual)) {
            passed++;
        } else {
            failed++;
            System.out.println("FAILED: " + what + "\n  expected " + expected + "\n  but got  " + actual);
        }
    }

    private static void refuses(String what, Class<? extends Exception> type, String words, Callable<?> run) {
        try {
            Object got = run.call();
            check(what, type.getSimpleName(), "the value " + got);
        } catch (Exception thrown) {
            check(what, true, type.isInstance(thrown) && thrown.getMessage().contains(words) ? true : thrown.toString());
        }
    }

    enum Colour { RED, GREEN }

    record Item(String name, Optional<Integer> count) {
        Item {
            if (name.isEmpty()) {
                throw new IllegalArgumentException("a name is needed");
            }
        }
    }

    record Tree(String name, List<Tree> children) {
    }

    record Page<T>(List<T> items, int next) {
    }

    sealed interface Shape permits Circle, Box {
    }

    record Circle(double radius) implements Shape {
    }

    record Box(double width, double height) implements Shape {
    }

    public static class Bean {
        public int size = 5;
        private String name;

        public String getName() {
            return name;
        }

        public void setName(String name) {
            this.name = name;
        }
    }

    public static void main(String[] arguments) throws Exception {
        json();
        readers();
        writer();
        vectors(Path.of(arguments[0]));
        connection();
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    private static void json() throws Json.Malformed {
        for (String text : List.of("null", "true", "0", "-1", "9223372036854775807", "9223372036854775808", "0.1", "1e400", "\"é𝄞\\n\\\"\\\\\"", "[]", "{}", "[1,[2,{\"a\":null}]]")) {
            check("the same text: " + text, text, Json.write(Json.parse(text)));
        }
        check("64 bits are a Long", Long.MIN_VALUE, Json.parse("-9223372036854775808"));
        check("more bits are a BigInteger", new BigInteger("18446744073709551616"), Json.parse("18446744073709551616"));
        check("an escaped pair is one character", "𝄞", Json.parse("\"\\ud834\\udd1e\""));
        check("half a pair stays", "\ud800", Json.parse("\"\\ud800\""));
        check("the last of two members counts", Map.of("a", 2L), Json.parse("{\"a\":1,\"a\":2}"));
        for (String text : List.of("", "{", "[1,]", "{\"a\":}", "{'a':1}", "01", "1.", ".5", "+1", "1e", "NaN", "nul", "\"", "\"\\x\"", "\"\n\"", "\"\\u12g4\"", "1 2", "[".repeat(300), "1".repeat(30_000))) {
            refuses("no JSON: " + (text.length() > 20 ? text.substring(0, 20) + "…" : text), Json.Malformed.class, "", () -> Json.parse(text));
        }
        refuses("no UTF-8", Json.Malformed.class, "UTF-8", () -> Json.parse(new byte[] {'"', (byte) 0xC3, '"'}));
    }

    private static Object read(Type type, String text) throws Exception {
        return Readers.of(type).read(Json.parse(text));
    }

    private static void readers() throws Exception {
        check("an int", 3, read(int.class, "3.0"));
        check("a decimal is exact", new BigDecimal("0.10000000000000000000001"), read(BigDecimal.class, "0.10000000000000000000001"));
        check("an enum", Colour.GREEN, read(Colour.class, "\"GREEN\""));
        check("a record", new Item("a", Optional.empty()), read(Item.class, "{\"name\":\"a\"}"));
        check("a record that holds itself", new Tree("a", List.of(new Tree("b", List.of()))), read(Tree.class, "{\"name\":\"a\",\"children\":[{\"name\":\"b\",\"children\":[]}]}"));
        check("a generic record", new Page<>(List.of(new Circle(1)), 2), read(new TypeRef<Page<Circle>>() { }.type(), "{\"items\":[{\"radius\":1}],\"next\":2}"));
        check("a sealed interface", new Box(1, 2), read(Shape.class, "{\"height\":2,\"width\":1}"));
        check("keys of an enum", Map.of(Colour.RED, 1), read(new TypeRef<Map<Colour, Integer>>() { }.type(), "{\"RED\":1}"));
        check("keys that are numbers", new TreeMap<>(Map.of(2L, true)), read(new TypeRef<Map<Long, Boolean>>() { }.type(), "{\"2\":true}"));
        check("a set", Set.of(LocalDate.of(2026, 5, 4)), read(new TypeRef<Set<LocalDate>>() { }.type(), "[\"2026-05-04\"]"));
        check("an array of arrays", "[[1, 2], []]", Arrays.deepToString((int[][]) read(int[][].class, "[[1,2],[]]")));
        check("bytes", new byte[] {1, 2}, read(byte[].class, "\"AQI=\""));
        check("anything", List.of(1L, 0.5, Map.of()), read(Object.class, "[1,0.5,{}]"));
        Bean bean = (Bean) read(Bean.class, "{\"name\":\"x\"}");
        check("a class with fields and setters", "x5", bean.getName() + bean.size);

        refuses("an int's range", Refused.class, "from -2147483648", () -> read(int.class, "2147483648"));
        refuses("a fraction", Refused.class, "integer", () -> read(long.class, "1.5"));
        refuses("null for a primitive", Refused.class, "a boolean", () -> read(boolean.class, "null"));
        refuses("a constructor's word", Refused.class, "a name is needed", () -> read(Item.class, "{\"name\":\"\"}"));
        refuses("an unknown component", Refused.class, "no component size", () -> read(Item.class, "{\"name\":\"a\",\"size\":1}"));
        refuses("the place of what is wrong", Refused.class, "/children/0/name: expected a string, got 1", () -> read(Tree.class, "{\"name\":\"a\",\"children\":[{\"name\":1,\"children\":[]}]}"));
        refuses("no permitted class", Refused.class, "", () -> read(Shape.class, "{\"side\":2}"));
        refuses("no enum's name", Refused.class, "one of RED, GREEN", () -> read(Colour.class, "\"BLUE\""));
        refuses("a class of the JDK", Refused.class, "Thread", () -> Readers.of(Thread.class));
        refuses("a UUID that is cut", Refused.class, "UUID", () -> read(java.util.UUID.class, "\"1-2-3-4-5\""));
    }

    private static String written(Object value) throws Unfit {
        StringBuilder out = new StringBuilder();
        Writer writer = new Writer(out, "/value");
        writer.write(value);
        CharSequence places = writer.places();
        return places == null ? out.toString() : out + " " + places;
    }

    private static void writer() throws Unfit {
        check("a record", "{\"name\":\"a\",\"count\":null}", written(new Item("a", Optional.empty())));
        check("arrays and maps", "[[1,2],{\"RED\":[true]}]", written(List.of(new int[] {1, 2}, Map.of(Colour.RED, new boolean[] {true}))));
        check("a moment has its seconds", "\"2026-05-04T12:00:00+02:00\"", written(ZonedDateTime.of(2026, 5, 4, 12, 0, 0, 0, ZoneId.of("Europe/Paris"))));
        check("decimals as digits", "[1000,0.1]", written(List.of(new BigDecimal("1E+3"), new BigDecimal("0.1"))));
        check("a class with fields and getters", "{\"size\":5,\"name\":null}", written(new Bean()));
        check("a large text", "{\"a/b\":[1,null]} [{\"at\":\"/value/a~1b/1\",\"type\":\"string\"}]", written(Map.of("a/b", List.of(1, "é".repeat(32768)))));
        check("a text just below", 65537, written("x".repeat(65535)).length());
        check("large bytes", "null [{\"at\":\"/value\",\"type\":\"bytes\"}]", written(new byte[65536]));
        refuses("NaN", Unfit.class, "/1: NaN", () -> written(List.of(1, Double.NaN)));
        refuses("a thread", Unfit.class, "java.lang.Thread", () -> written(Thread.currentThread()));
        refuses("half a surrogate pair", Unfit.class, "surrogate", () -> written("a\ud800"));
        List<Object> itself = new ArrayList<>();
        itself.add(itself);
        refuses("a list that holds itself", Unfit.class, "holds itself", () -> written(itself));
    }

    private static Object withBase64(Object tree) {
        if (tree instanceof byte[] bytes) {
            return Base64.getEncoder().encodeToString(bytes);
        }
        if (tree instanceof Map<?, ?> map) {
            Map<Object, Object> out = new TreeMap<>();
            map.forEach((name, value) -> out.put(name, withBase64(value)));
            return out;
        }
        return tree instanceof List<?> list ? new ArrayList<>(list.stream().map(Units::withBase64).toList()) : tree instanceof Json.Decimal number ? (Object) number.doubleValue() : tree;
    }

    private static void vectors(Path folder) throws IOException, Json.Malformed {
        for (Map<String, Object> vector : Json.objects(Json.object(Json.parse(Files.readAllBytes(folder.resolve("blobs.json")))).get("vectors"))) {
            Map<String, Object> params = Json.object(vector.get("params"));
            List<byte[]> blobs = new ArrayList<>();
            for (Object blob : (List<?>) vector.get("blobs")) {
                blobs.add(Base64.getDecoder().decode((String) blob));
            }
            Object got;
            try {
                Blobs.place(params, blobs);
                params.remove("blobs");
                got = withBase64(params);
            } catch (IllegalArgumentException refused) {
                got = "error";
            }
            check("blobs: " + vector.get("name"), vector.containsKey("error") ? "error" : withBase64(vector.get("placed")), got);
        }
    }

    /** Two connections that talk to each other. */
    private static void connection() throws Exception {
        PipedInputStream leftIn = new PipedInputStream(1 << 20);
        PipedInputStream rightIn = new PipedInputStream(1 << 20);
        Connection left = new Connection(leftIn, new PipedOutputStream(rightIn));
        Connection right = new Connection(rightIn, new PipedOutputStream(leftIn));
        CountDownLatch cancelled = new CountDownLatch(1);
        left.handler = message -> { };
        right.handler = message -> {
            if (message.method().equals("cancel")) {
                cancelled.countDown();
            } else if (message.method().equals("fail")) {
                right.answerError(message.id(), -32000, "conflict", "no", Map.of("hint", "é"));
            } else if (message.method().equals("count")) {
                for (int i = 0; i < 3; i++) {
                    right.notify("chunk", "{\"id\":" + message.id() + ",\"value\":" + i + "}", List.of());
                }
                right.answer(message.id(), "{\"streamed\":3}", List.of());
            } else if (!message.method().equals("never")) {
                right.answer(message.id(), "{\"method\":\"" + message.method() + "\"}", message.blobs());
            }
            right.flush();
        };
        for (Connection one : List.of(left, right)) {
            Thread reading = new Thread(one::serve);
            reading.setDaemon(true);
            reading.start();
        }
        Connection.Answer answer = left.ask("ask", "{}", List.of(new byte[] {0, -1, '\n'}), null, 10_000);
        check("an answer comes to who asked", Map.of("method", "ask"), answer.result());
        check("with its blob", new byte[] {0, -1, '\n'}, answer.blobs().get(0));
        check("an error comes as one", "no", Json.string(left.ask("fail", "{}", List.of(), null, 10_000).error(), "message"));
        List<Object> seen = new ArrayList<>();
        left.ask("count", "{}", List.of(), seen::add, 10_000);
        check("streamed values come in order", List.of(0L, 1L, 2L), seen);
        check("no answer in time is none", null, left.ask("never", "{}", List.of(), null, 50));
        check("and the other side is told", true, cancelled.await(10, TimeUnit.SECONDS));
        Thread asking = Thread.currentThread();
        Thread interrupting = new Thread(() -> {
            try {
                Thread.sleep(50);
            } catch (InterruptedException never) {
                // Nobody interrupts it.
            }
            asking.interrupt();
        });
        interrupting.start();
        refuses("an interrupted request is given up", InterruptedException.class, "", () -> {
            try {
                return left.ask("never", "{}", List.of(), null, 10_000);
            } catch (InterruptedException thrown) {
                throw new InterruptedException("given up");
            }
        });
    }
}
