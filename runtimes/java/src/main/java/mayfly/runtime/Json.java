package mayfly.runtime;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads and writes plain values. Jackson does it for objects of all other kinds; loading it for the header of an event
 * would double the time of a start.
 */
final class Json {
    /** How deep values may be nested. */
    private static final int DEPTH = 200;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** The value of a text that is JSON to the letter: a map, list, string, number, boolean or null. */
    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.peek();
        if (json.at < text.length()) {
            throw json.wrong();
        }
        return value;
    }

    /** Appends a string as JSON. */
    static void quote(String value, StringBuilder to) {
        to.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                to.append('\\').append(c);
            } else if (c == '\n') {
                to.append("\\n");
            } else if (c == '\t') {
                to.append("\\t");
            } else if (c < ' ') {
                to.append("\\u00").append(c < 16 ? '0' : '1').append(Character.forDigit(c % 16, 16));
            } else {
                to.append(c);
            }
        }
        to.append('"');
    }

    private Object value() {
        char first = peek();
        switch (first) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            default:
                return word();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> object = new LinkedHashMap<>();
        open('{');
        while (peek() != '}') {
            if (!object.isEmpty()) {
                expect(',');
                peek();
            }
            String name = string();
            expect(':');
            object.put(name, value());
        }
        close();
        return object;
    }

    private List<Object> array() {
        List<Object> array = new ArrayList<>();
        open('[');
        while (peek() != ']') {
            if (!array.isEmpty()) {
                expect(',');
            }
            array.add(value());
        }
        close();
        return array;
    }

    private String string() {
        expect('"');
        int end = text.indexOf('"', at);
        if (end >= 0 && text.substring(at, end).indexOf('\\') < 0) {
            String plain = text.substring(at, end);
            at = end + 1;
            return plain;
        }
        StringBuilder string = new StringBuilder();
        for (char c = next(); c != '"'; c = next()) {
            string.append(c == '\\' ? escaped() : c);
        }
        return string.toString();
    }

    private char escaped() {
        char c = next();
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                return (char) (hexadecimal() << 12 | hexadecimal() << 8 | hexadecimal() << 4 | hexadecimal());
            default:
                return c;
        }
    }

    private int hexadecimal() {
        int digit = "0123456789abcdef".indexOf(Character.toLowerCase(next()));
        if (digit < 0) {
            throw wrong();
        }
        return digit;
    }

    /** A number, or one of the words that JSON knows. */
    private Object word() {
        int start = at;
        while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        String word = text.substring(start, at);
        switch (word) {
            case "null":
                return null;
            case "true":
                return Boolean.TRUE;
            case "false":
                return Boolean.FALSE;
            default:
                return number(word);
        }
    }

    private Number number(String word) {
        int i = word.startsWith("-") ? 1 : 0;
        int start = i;
        i = digits(word, i);
        if (i == start || word.charAt(start) == '0' && i > start + 1) {
            throw wrong();
        }
        if (i == word.length()) {
            return whole(word);
        }
        if (word.charAt(i) == '.') {
            i = someDigits(word, i + 1);
        }
        if (i < word.length() && (word.charAt(i) == 'e' || word.charAt(i) == 'E')) {
            boolean signed = i + 1 < word.length() && (word.charAt(i + 1) == '-' || word.charAt(i + 1) == '+');
            i = someDigits(word, signed ? i + 2 : i + 1);
        }
        if (i < word.length()) {
            throw wrong();
        }
        return Double.valueOf(word);
    }

    /** A whole number in the smallest class that holds it. */
    private static Number whole(String word) {
        if (word.length() > 18) {
            BigInteger big = new BigInteger(word);
            return big.bitLength() < 64 ? (Number) big.longValue() : big;
        }
        long number = Long.parseLong(word);
        return number == (int) number ? (Number) (int) number : (Number) number;
    }

    /** Where the digits that begin at an index end. */
    private static int digits(String word, int from) {
        int i = from;
        while (i < word.length() && word.charAt(i) >= '0' && word.charAt(i) <= '9') {
            i++;
        }
        return i;
    }

    private int someDigits(String word, int from) {
        int end = digits(word, from);
        if (end == from) {
            throw wrong();
        }
        return end;
    }

    /** The next character that is no space; 0 at the end. */
    private char peek() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : 0;
    }

    private char next() {
        if (at >= text.length()) {
            throw wrong();
        }
        return text.charAt(at++);
    }

    private void expect(char c) {
        if (peek() != c) {
            throw wrong();
        }
        at++;
    }

    private void open(char c) {
        expect(c);
        if (++depth > DEPTH) {
            throw wrong();
        }
    }

    private void close() {
        at++;
        depth--;
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("not JSON at character " + at);
    }
}
