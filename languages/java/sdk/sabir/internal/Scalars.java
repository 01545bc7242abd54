package sabir.internal;

import java.io.File;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Month;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.Period;
import java.time.Year;
import java.time.YearMonth;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.Base64;
import java.util.Currency;
import java.util.Date;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.regex.Pattern;

/** Readers of types that hold no others. */
final class Scalars {
    static final Map<Class<?>, Reader> ALL = new HashMap<>();

    private Scalars() {
    }

    private interface OfText {
        Object make(String text) throws Exception;
    }

    private static void text(Class<?> type, String expected, OfText make) {
        ALL.put(type, tree -> {
            if (tree == null) {
                return null;
            }
            if (tree instanceof String text) {
                try {
                    return make.make(text);
                } catch (Exception wrong) {
                    throw new Refused("expected " + expected + ", got " + shown(tree) + (wrong.getMessage() == null ? "" : " (" + wrong.getMessage() + ")"));
                }
            }
            throw refuse(expected, tree);
        });
    }

    private static void number(Class<?> primitive, Class<?> boxed, Reader reader) {
        ALL.put(primitive, reader);
        ALL.put(boxed, tree -> tree == null ? null : reader.read(tree));
    }

    static {
        ALL.put(Object.class, Scalars::plain);
        ALL.put(void.class, tree -> null);
        ALL.put(Void.class, tree -> null);
        number(boolean.class, Boolean.class, tree -> {
            if (tree instanceof Boolean) {
                return tree;
            }
            throw refuse("a boolean", tree);
        });
        number(byte.class, Byte.class, tree -> (byte) whole(tree, Byte.MIN_VALUE, Byte.MAX_VALUE));
        number(short.class, Short.class, tree -> (short) whole(tree, Short.MIN_VALUE, Short.MAX_VALUE));
        number(int.class, Integer.class, tree -> (int) whole(tree, Integer.MIN_VALUE, Integer.MAX_VALUE));
        number(long.class, Long.class, tree -> whole(tree, Long.MIN_VALUE, Long.MAX_VALUE));
        number(double.class, Double.class, tree -> real(tree));
        number(float.class, Float.class, tree -> {
            double wide = real(tree);
            if (Float.isInfinite((float) wide)) {
                throw refuse("a number that a float can hold", tree);
            }
            return (float) wide;
        });
        number(char.class, Character.class, tree -> {
            if (tree instanceof String text && text.length() == 1) {
                return text.charAt(0);
            }
            throw refuse("one character", tree);
        });
        ALL.put(OptionalInt.class, tree -> tree == null ? OptionalInt.empty() : OptionalInt.of((int) whole(tree, Integer.MIN_VALUE, Integer.MAX_VALUE)));
        ALL.put(OptionalLong.class, tree -> tree == null ? OptionalLong.empty() : OptionalLong.of(whole(tree, Long.MIN_VALUE, Long.MAX_VALUE)));
        ALL.put(OptionalDouble.class, tree -> tree == null ? OptionalDouble.empty() : OptionalDouble.of(real(tree)));
        ALL.put(BigInteger.class, tree -> {
            if (tree instanceof Json.Decimal decimal && decimal.text.length() < 1000) {
                try {
                    BigDecimal exact = new BigDecimal(decimal.text);
                    if (Math.abs((long) exact.scale()) < 10_000) {
                        return exact.toBigIntegerExact();
                    }
                } catch (ArithmeticException fraction) {
                    // Below.
                }
            }
            return tree == null || tree instanceof BigInteger ? tree : tree instanceof Long number ? BigInteger.valueOf(number) : no("an integer", tree);
        });
        ALL.put(BigDecimal.class, tree -> {
            if (tree == null) {
                return null;
            }
            if (tree instanceof Number || tree instanceof String) {
                try {
                    return new BigDecimal(tree.toString());
                } catch (NumberFormatException wrong) {
                    // Below.
                }
            }
            throw refuse("a decimal number", tree);
        });
        ALL.put(Number.class, tree -> tree == null || tree instanceof Number ? plain(tree) : no("a number", tree));
        ALL.put(byte[].class, tree -> {
            if (tree == null || tree instanceof byte[]) {
                return tree;
            }
            if (tree instanceof String text) {
                try {
                    return Base64.getDecoder().decode(text);
                } catch (IllegalArgumentException wrong) {
                    throw new Refused("expected base64 text: " + wrong.getMessage());
                }
            }
            throw refuse("base64 text", tree);
        });
        text(String.class, "a string", text -> text);
        text(CharSequence.class, "a string", text -> text);
        text(Comparable.class, "a string", text -> text);
        text(LocalDate.class, "a date such as 2026-05-04", LocalDate::parse);
        text(LocalTime.class, "a time such as 17:30", LocalTime::parse);
        text(LocalDateTime.class, "a date and time such as 2026-05-04T17:30:00", LocalDateTime::parse);
        text(Instant.class, "a moment such as 2026-05-04T17:30:00Z", text -> OffsetDateTime.parse(text).toInstant());
        text(OffsetDateTime.class, "a moment such as 2026-05-04T17:30:00+02:00", OffsetDateTime::parse);
        text(ZonedDateTime.class, "a moment such as 2026-05-04T17:30:00+02:00", ZonedDateTime::parse);
        text(OffsetTime.class, "a time such as 17:30:00+02:00", OffsetTime::parse);
        text(Date.class, "a moment such as 2026-05-04T17:30:00Z", text -> Date.from(OffsetDateTime.parse(text).toInstant()));
        text(Duration.class, "a duration such as PT1H30M", Duration::parse);
        text(Period.class, "a period such as P1M", Period::parse);
        text(YearMonth.class, "a month such as 2026-05", YearMonth::parse);
        text(Month.class, "a month such as MAY", Month::valueOf);
        text(ZoneId.class, "a time zone such as Europe/Paris", ZoneId::of);
        text(UUID.class, "a UUID", text -> {
            UUID uuid = UUID.fromString(text);
            if (!uuid.toString().equalsIgnoreCase(text)) {
                throw new IllegalArgumentException();
            }
            return uuid;
        });
        text(URI.class, "a URI", URI::new);
        text(Path.class, "a path", Path::of);
        text(File.class, "a path", File::new);
        text(Locale.class, "a language tag", Locale::forLanguageTag);
        text(Currency.class, "a currency such as EUR", Currency::getInstance);
        text(Charset.class, "a character set", Charset::forName);
        text(Pattern.class, "a regular expression", Pattern::compile);
        Reader year = tree -> Year.of((int) whole(tree, Year.MIN_VALUE, Year.MAX_VALUE));
        ALL.put(Year.class, tree -> tree == null ? null : year.read(tree));
    }

    private static Object no(String expected, Object tree) throws Refused {
        throw refuse(expected, tree);
    }

    static Refused refuse(String expected, Object tree) {
        return new Refused("expected " + expected + ", got " + shown(tree));
    }

    private static String shown(Object tree) {
        if (tree instanceof Map) {
            return "an object";
        }
        if (tree instanceof Iterable) {
            return "an array";
        }
        if (tree instanceof byte[]) {
            return "bytes";
        }
        String text = tree instanceof String string ? "\"" + string + "\"" : String.valueOf(tree);
        return text.length() > 60 ? text.substring(0, 60) + "…" : text;
    }

    static long whole(Object tree, long least, long most) throws Refused {
        long number;
        if (tree instanceof Long exact) {
            number = exact;
        } else if (tree instanceof Json.Decimal decimal && decimal.doubleValue() == Math.rint(decimal.doubleValue()) && Math.abs(decimal.doubleValue()) < 0x1p53) {
            number = (long) decimal.doubleValue();
        } else {
            throw refuse(tree instanceof Number ? "an integer from " + least + " to " + most : "an integer", tree);
        }
        if (number < least || number > most) {
            throw refuse("an integer from " + least + " to " + most, tree);
        }
        return number;
    }

    static double real(Object tree) throws Refused {
        if (tree instanceof Number number) {
            double value = number.doubleValue();
            if (Double.isInfinite(value)) {
                throw refuse("a number that a double can hold", tree);
            }
            return value;
        }
        throw refuse("a number", tree);
    }

    /** A tree for code that takes any: its decimals are Double, or BigDecimal where no double holds them. */
    static Object plain(Object tree) {
        if (tree instanceof Json.Decimal decimal) {
            double value = decimal.doubleValue();
            return Double.isInfinite(value) ? (Object) new BigDecimal(decimal.text) : value;
        }
        if (tree instanceof java.util.List<?> list) {
            @SuppressWarnings("unchecked")
            java.util.List<Object> items = (java.util.List<Object>) list;
            items.replaceAll(Scalars::plain);
        } else if (tree instanceof Map<?, ?> map) {
            @SuppressWarnings("unchecked")
            Map<String, Object> members = (Map<String, Object>) map;
            members.replaceAll((name, value) -> plain(value));
        }
        return tree;
    }
}
