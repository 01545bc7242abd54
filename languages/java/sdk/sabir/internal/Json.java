package sabir.internal;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON texts as trees of null, Boolean, Long, BigInteger, {@link Decimal}, String, List and Map, and back.
 */
public final class Json {
    /** Deeper ones are malformed, so that no text can exhaust a stack. */
    public static final int DEEPEST = 256;
    private static final int MOST_DIGITS = 20_000;

    private Json() {
    }

    /** A text that is no JSON. */
    public static final class Malformed extends Exception {
        private static final long serialVersionUID = 1;

        Malformed(String message) {
            super(message, null, false, false);
        }
    }

    /** A number with a fraction or an exponent, as it was written. */
    public static final class Decimal extends Number {
        private static final long serialVersionUID = 1;
        public final String text;

        public Decimal(String text) {
            this.text = text;
        }

        @Override
        public double doubleValue() {
            return Double.parseDouble(text);
        }

        @Override
        public float floatValue() {
            return Float.parseFloat(text);
        }

        @Override
        public long longValue() {
            return (long) doubleValue();
        }

        @Override
        public int intValue() {
            return (int) doubleValue();
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /** Bytes that are no UTF-8 are malformed. */
    public static String text(byte[] utf8) throws Malformed {
        String text = new String(utf8, StandardCharsets.UTF_8);
        if (text.indexOf('\uFFFD') >= 0) {
            try {
                StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8));
            } catch (CharacterCodingException wrong) {
                throw new Malformed("the text is not UTF-8");
            }
        }
        return text;
    }

    public static Object parse(byte[] utf8) throws Malformed {
        return parse(text(utf8));
    }

    public static Object parse(String text) throws Malformed {
        Parser parser = new Parser(text);
        Object value = parser.value(0);
        parser.space();
        if (parser.at < text.length()) {
            throw parser.wrong();
        }
        return value;
    }

    private static final class Parser {
        final String text;
        final int end;
        int at;

        Parser(String text) {
            this.text = text;
            this.end = text.length();
        }

        Malformed wrong() {
            return new Malformed(at < end ? "unexpected '" + text.charAt(at) + "' at character " + (at + 1) : "the text ends early");
        }

        void space() {
            while (at < end) {
                char c = text.charAt(at);
                if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
                    return;
                }
                at++;
            }
        }

        Object value(int depth) throws Malformed {
            space();
            if (at >= end || depth > DEEPEST) {
                throw depth > DEEPEST ? new Malformed("nested deeper than " + DEEPEST) : wrong();
            }
            switch (text.charAt(at)) {
                case '{':
                    return object(depth);
                case '[':
                    return array(depth);
                case '"':
                    return string();
                case 't':
                    return word("true", Boolean.TRUE);
                case 'f':
                    return word("false", Boolean.FALSE);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        Object word(String word, Object value) throws Malformed {
            if (!text.startsWith(word, at)) {
                throw wrong();
            }
            at += word.length();
            return value;
        }

        Map<String, Object> object(int depth) throws Malformed {
            Map<String, Object> out = new LinkedHashMap<>();
            at++;
            space();
            if (at < end && text.charAt(at) == '}') {
                at++;
                return out;
            }
            while (true) {
                space();
                if (at >= end || text.charAt(at) != '"') {
                    throw wrong();
                }
                String name = string();
                space();
                if (at >= end || text.charAt(at) != ':') {
                    throw wrong();
                }
                at++;
                out.put(name, value(depth + 1));
                if (last('}')) {
                    return out;
                }
            }
        }

        List<Object> array(int depth) throws Malformed {
            List<Object> out = new ArrayList<>();
            at++;
            space();
            if (at < end && text.charAt(at) == ']') {
                at++;
                return out;
            }
            while (true) {
                out.add(value(depth + 1));
                if (last(']')) {
                    return out;
                }
            }
        }

        boolean last(char close) throws Malformed {
            space();
            if (at >= end) {
                throw wrong();
            }
            char c = text.charAt(at);
            if (c != close && c != ',') {
                throw wrong();
            }
            at++;
            return c == close;
        }

        String string() throws Malformed {
            int begin = ++at;
            while (at < end) {
                char c = text.charAt(at);
                if (c == '"') {
                    return text.substring(begin, at++);
                }
                if (c == '\\') {
                    return escaped(begin);
                }
                if (c < ' ') {
                    throw wrong();
                }
                at++;
            }
            throw wrong();
        }

        private String escaped(int begin) throws Malformed {
            StringBuilder out = new StringBuilder(at - begin + 32).append(text, begin, at);
            while (at < end) {
                char c = text.charAt(at);
                if (c == '"') {
                    at++;
                    return out.toString();
                }
                if (c < ' ') {
                    throw wrong();
                }
                at++;
                if (c != '\\') {
                    out.append(c);
                    continue;
                }
                if (at >= end) {
                    throw wrong();
                }
                c = text.charAt(at++);
                switch (c) {
                    case '"', '\\', '/' -> out.append(c);
                    case 'b' -> out.append('\b');
                    case 'f' -> out.append('\f');
                    case 'n' -> out.append('\n');
                    case 'r' -> out.append('\r');
                    case 't' -> out.append('\t');
                    case 'u' -> out.append(unit());
                    default -> {
                        at--;
                        throw wrong();
                    }
                }
            }
            throw wrong();
        }

        private char unit() throws Malformed {
            int unit = 0;
            for (int i = 0; i < 4; i++) {
                int digit = at < end && text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
                if (digit < 0) {
                    throw wrong();
                }
                unit = unit * 16 + digit;
                at++;
            }
            return (char) unit;
        }

        Object number() throws Malformed {
            int begin = at;
            boolean whole = true;
            if (text.charAt(at) == '-') {
                at++;
            }
            int digits = at;
            digits();
            if (at - digits > 1 && text.charAt(digits) == '0') {
                at = digits + 1;
                throw wrong();
            }
            if (at < end && text.charAt(at) == '.') {
                whole = false;
                at++;
                digits();
            }
            if (at < end && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
                whole = false;
                at++;
                if (at < end && (text.charAt(at) == '+' || text.charAt(at) == '-')) {
                    at++;
                }
                digits();
            }
            if (at - begin > MOST_DIGITS) {
                throw new Malformed("a number of more than " + MOST_DIGITS + " digits");
            }
            String number = text.substring(begin, at);
            if (!whole) {
                return new Decimal(number);
            }
            if (number.equals("-0")) {
                return new Decimal("-0.0");
            }
            if (number.length() < 19) {
                return Long.parseLong(number);
            }
            BigInteger big = new BigInteger(number);
            return big.bitLength() < 64 ? (Object) big.longValue() : big;
        }

        private void digits() throws Malformed {
            int begin = at;
            while (at < end && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                at++;
            }
            if (at == begin) {
                throw wrong();
            }
        }
    }

    /** U+FFFD in place of each surrogate without its other half. */
    static String wellFormed(CharSequence text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (!Character.isSurrogate(c)) {
                out.append(c);
            } else if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
                out.append(c).append(text.charAt(++i));
            } else {
                out.append('\uFFFD');
            }
        }
        return out.toString();
    }

    private static final char[] HEX = "0123456789abcdef".toCharArray();

    public static void quote(StringBuilder out, CharSequence text) {
        out.append('"');
        int written = 0;
        int length = text.length();
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c >= ' ' && c != '"' && c != '\\') {
                continue;
            }
            out.append(text, written, i);
            written = i + 1;
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> out.append("\\u00").append(HEX[c >> 4]).append(HEX[c & 15]);
            }
        }
        out.append(text, written, length).append('"');
    }

    /** A tree as a text. REQUIRES: a tree such as parse() gives; what it holds besides is written as its toString(). */
    public static String write(Object tree) {
        StringBuilder out = new StringBuilder();
        write(out, tree);
        return out.toString();
    }

    public static void write(StringBuilder out, Object tree) {
        if (tree == null || tree instanceof Boolean || tree instanceof Number) {
            out.append(tree);
        } else if (tree instanceof Map<?, ?> map) {
            char separator = '{';
            for (Map.Entry<?, ?> member : map.entrySet()) {
                out.append(separator);
                quote(out, String.valueOf(member.getKey()));
                out.append(':');
                write(out, member.getValue());
                separator = ',';
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (tree instanceof Iterable<?> list) {
            char separator = '[';
            for (Object item : list) {
                out.append(separator);
                write(out, item);
                separator = ',';
            }
            out.append(separator == '[' ? "[]" : "]");
        } else {
            quote(out, wellFormed(tree.toString()));
        }
    }

    // Access to trees ------------------------------------------------------------------------------------------------

    @SuppressWarnings("unchecked")
    public static Map<String, Object> object(Object tree) {
        return tree instanceof Map<?, ?> ? (Map<String, Object>) tree : null;
    }

    /** The objects in a list; empty for what is no list. */
    public static List<Map<String, Object>> objects(Object tree) {
        List<Map<String, Object>> out = new ArrayList<>();
        if (tree instanceof List<?> list) {
            for (Object one : list) {
                if (object(one) != null) {
                    out.add(object(one));
                }
            }
        }
        return out;
    }

    /** A member's text; "" where there is none. */
    public static String string(Map<String, Object> object, String name) {
        return object != null && object.get(name) instanceof String text ? text : "";
    }

    /** A member's whole number; `otherwise` where there is none. */
    public static long number(Map<String, Object> object, String name, long otherwise) {
        return object != null && object.get(name) instanceof Long number ? number : otherwise;
    }
}
