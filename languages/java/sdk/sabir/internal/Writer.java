package sabir.internal;

import java.io.File;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.net.URL;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.Year;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.Temporal;
import java.time.temporal.TemporalAccessor;
import java.time.temporal.TemporalAmount;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Currency;
import java.util.Date;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import java.util.stream.BaseStream;

/** Writes Java values as JSON; strings and byte sequences of 65,536 bytes and more become blobs. */
public final class Writer {
    private static final int BLOB = 65536;
    private final StringBuilder out;
    private final String root;
    private final Object[] path = new Object[Json.DEEPEST + 1];
    private int depth;
    private StringBuilder places;
    /** The blobs of what was written, in order. */
    public List<byte[]> blobs = List.of();

    /** @param root the JSON Pointer of what is written, such as /value */
    public Writer(StringBuilder out, String root) {
        this.out = out;
        this.root = root;
    }

    /** The list of the blobs' places as JSON; null when there are none. */
    public CharSequence places() {
        return places == null ? null : places.append(']');
    }

    /** @throws Unfit for what JSON cannot carry, with its place */
    public void write(Object value) throws Unfit {
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long || value instanceof Short || value instanceof Byte
            || value instanceof BigInteger || value instanceof AtomicInteger || value instanceof AtomicLong || value instanceof AtomicBoolean) {
            out.append(value);
        } else if (value instanceof CharSequence text) {
            text(text);
        } else if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            if (Double.isNaN(number) || Double.isInfinite(number)) {
                throw unfit(value + " has no JSON form");
            }
            out.append(value);
        } else if (value instanceof Map<?, ?> map) {
            map(map);
        } else if (value instanceof byte[] bytes) {
            bytes(bytes);
        } else if (value instanceof Iterable<?> items && !(value instanceof Path)) {
            each(items.iterator());
        } else if (value instanceof Enum<?> one) {
            text(one.name());
        } else if (value instanceof Record) {
            members(value);
        } else {
            other(value);
        }
    }

    private Unfit unfit(String what) {
        String at = pointer().substring(root.length());
        return new Unfit(at.isEmpty() ? what : at + ": " + what);
    }

    private String pointer() {
        StringBuilder text = new StringBuilder(root);
        for (int i = 0; i < depth; i++) {
            text.append('/').append(String.valueOf(path[i]).replace("~", "~0").replace("/", "~1"));
        }
        return text.toString();
    }

    private void enter() throws Unfit {
        if (depth >= Json.DEEPEST - 8) {
            throw new Unfit("it is nested deeper than " + (Json.DEEPEST - 8) + ", or holds itself");
        }
        depth++;
    }

    private void blob(byte[] bytes, String type) {
        if (places == null) {
            places = new StringBuilder();
            blobs = new ArrayList<>();
        }
        places.append(places.length() == 0 ? '[' : ',').append("{\"at\":");
        Json.quote(places, pointer());
        places.append(",\"type\":\"").append(type).append("\"}");
        blobs.add(bytes);
        out.append("null");
    }

    private void wellFormed(CharSequence text) throws Unfit {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                if (Character.isLowSurrogate(c) || i + 1 >= length || !Character.isLowSurrogate(text.charAt(i + 1))) {
                    throw unfit("a string with half a surrogate pair has no UTF-8 form");
                }
                i++;
            }
        }
    }

    private void text(CharSequence text) throws Unfit {
        int length = text.length();
        wellFormed(text);
        if (length * 3L >= BLOB) {
            byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
            if (bytes.length >= BLOB) {
                blob(bytes, "string");
                return;
            }
        }
        Json.quote(out, text);
    }

    private void bytes(byte[] bytes) {
        if (bytes.length >= BLOB) {
            blob(bytes, "bytes");
        } else {
            out.append('"').append(Base64.getEncoder().encodeToString(bytes)).append('"');
        }
    }

    private void each(Iterator<?> items) throws Unfit {
        enter();
        out.append('[');
        for (int i = 0; items.hasNext(); i++) {
            if (i > 0) {
                out.append(',');
            }
            path[depth - 1] = i;
            write(items.next());
        }
        out.append(']');
        depth--;
    }

    private void map(Map<?, ?> map) throws Unfit {
        enter();
        out.append('{');
        boolean more = false;
        for (Map.Entry<?, ?> member : map.entrySet()) {
            path[depth - 1] = member.getKey();
            member(key(member.getKey()), member.getValue(), more);
            more = true;
        }
        out.append('}');
        depth--;
    }

    private String key(Object key) throws Unfit {
        if (key instanceof Enum<?> one) {
            return one.name();
        }
        if (key instanceof CharSequence || key instanceof Integer || key instanceof Long || key instanceof Short || key instanceof Byte || key instanceof BigInteger
            || key instanceof Character || key instanceof UUID || key instanceof Temporal) {
            return key.toString();
        }
        throw unfit("a key of " + (key == null ? "null" : "class " + key.getClass().getName()) + " has no JSON form");
    }

    private void member(String name, Object value, boolean more) throws Unfit {
        if (more) {
            out.append(',');
        }
        path[depth - 1] = name;
        wellFormed(name);
        Json.quote(out, name);
        out.append(':');
        write(value);
    }

    private void members(Object value) throws Unfit {
        enter();
        out.append('{');
        boolean more = false;
        for (Beans.Member member : Beans.members(value.getClass())) {
            Object inner;
            try {
                inner = member.read().of(value);
            } catch (InvocationTargetException thrown) {
                throw unfit(member.name() + "() threw " + thrown.getCause());
            } catch (ReflectiveOperationException wrong) {
                throw unfit(wrong.toString());
            }
            member(member.name(), inner, more);
            more = true;
        }
        out.append('}');
        depth--;
    }

    private void other(Object value) throws Unfit {
        if (value instanceof BigDecimal number) {
            // As digits where that is short, since not every reader takes exponents for exact.
            out.append(Math.abs((long) number.scale()) < 100 ? number.toPlainString() : number.toString());
        } else if (value instanceof Json.Decimal) {
            out.append(value);
        } else if (value instanceof Optional<?> one) {
            write(one.orElse(null));
        } else if (value instanceof OptionalInt one) {
            write(one.isPresent() ? one.getAsInt() : null);
        } else if (value instanceof OptionalLong one) {
            write(one.isPresent() ? one.getAsLong() : null);
        } else if (value instanceof OptionalDouble one) {
            write(one.isPresent() ? one.getAsDouble() : null);
        } else if (value instanceof ZonedDateTime moment) {
            text(DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(moment.toOffsetDateTime()));
        } else if (value instanceof OffsetDateTime moment) {
            text(DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(moment));
        } else if (value instanceof LocalDateTime moment) {
            text(DateTimeFormatter.ISO_LOCAL_DATE_TIME.format(moment));
        } else if (value instanceof LocalTime time) {
            text(DateTimeFormatter.ISO_LOCAL_TIME.format(time));
        } else if (value instanceof OffsetTime time) {
            text(DateTimeFormatter.ISO_OFFSET_TIME.format(time));
        } else if (value instanceof Date date) {
            text(java.time.Instant.ofEpochMilli(date.getTime()).toString());
        } else if (value instanceof Year year) {
            out.append(year.getValue());
        } else if (value instanceof Locale locale) {
            text(locale.toLanguageTag());
        } else if (value instanceof Character || value instanceof TemporalAccessor || value instanceof TemporalAmount || value instanceof UUID || value instanceof URI
            || value instanceof URL || value instanceof Path || value instanceof File || value instanceof ZoneId || value instanceof Currency || value instanceof Charset
            || value instanceof Pattern) {
            text(value.toString());
        } else if (value.getClass().isArray()) {
            array(value);
        } else if (value instanceof Iterator<?> items) {
            each(items);
        } else if (value instanceof BaseStream<?, ?> stream) {
            try (stream) {
                each(stream.iterator());
            }
        } else if (value instanceof Map.Entry<?, ?> entry) {
            map(java.util.Collections.singletonMap(String.valueOf(entry.getKey()), entry.getValue()));
        } else if (!Beans.members(value.getClass()).isEmpty()) {
            members(value);
        } else {
            throw unfit("a value of class " + value.getClass().getName() + " has no JSON form");
        }
    }

    private void array(Object array) throws Unfit {
        enter();
        out.append('[');
        for (int i = 0; i < Array.getLength(array); i++) {
            if (i > 0) {
                out.append(',');
            }
            path[depth - 1] = i;
            write(Array.get(array, i));
        }
        out.append(']');
        depth--;
    }
}
