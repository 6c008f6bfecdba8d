package mayfly.runtime;

import java.io.ByteArrayInputStream;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * JSON to and from texts, maps and lists, without Jackson, whose start takes longer than the JVM's. Whatever is not
 * quite plain, faults too, is left to Jackson: what comes of it is the same.
 */
final class Plain extends Serializer {
    /** How deep values may be nested here. */
    private static final int DEPTH = 200;

    private final Type type;
    private Serializer full;

    private Plain(Type type) {
        this.type = type;
    }

    /** A serializer for this type; null if it is not plain. */
    static Serializer of(Type type) {
        Type raw = raw(type);
        boolean plain = raw == Object.class || raw == String.class || raw == Map.class || raw == List.class;
        return plain ? new Plain(type) : null;
    }

    private static Type raw(Type type) {
        return type instanceof ParameterizedType ? ((ParameterizedType) type).getRawType() : type;
    }

    private Serializer full() {
        if (full == null) {
            full = jackson(type);
        }
        return full;
    }

    @Override
    Object read(ByteArrayInputStream from) {
        String text = new String(from.readAllBytes(), StandardCharsets.UTF_8);
        try {
            // Bytes that are no UTF-8 are Jackson's to complain of.
            if (text.indexOf('\ufffd') < 0) {
                Object value = Json.parse(text);
                if (value == null || fits(value)) {
                    return value;
                }
            }
        } catch (IllegalArgumentException notStrict) {
            // Jackson is not strict either, or says what is wrong.
        }
        from.reset();
        return full().read(from);
    }

    /** Whether a value that was read is one of this type. */
    private boolean fits(Object value) {
        if (type == Object.class || type == String.class) {
            return type == Object.class || value instanceof String;
        }
        if (!((Class<?>) raw(type)).isInstance(value)) {
            return false;
        }
        if (!(type instanceof ParameterizedType)) {
            return true;
        }
        Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
        if (value instanceof Map) {
            return arguments[0] == String.class && fit(((Map<?, ?>) value).values(), arguments[1]);
        }
        return fit((List<?>) value, arguments[0]);
    }

    private static boolean fit(Collection<?> values, Type type) {
        if (type == String.class) {
            for (Object value : values) {
                if (value != null && !(value instanceof String)) {
                    return false;
                }
            }
        }
        return type == String.class || type == Object.class;
    }

    @Override
    void write(Object value, Answer to) {
        StringBuilder json = new StringBuilder();
        if (append(value, json, 0)) {
            to.writeBytes(json.toString().getBytes(StandardCharsets.UTF_8));
        } else {
            full().write(value, to);
        }
    }

    /** An answer may hold what is not plain. That an event is not is rare. */
    @Override
    boolean rehearse(boolean answers) {
        return answers && type != String.class && full().rehearse(true);
    }

    /** Appends a value as JSON, if it is plain. */
    private static boolean append(Object value, StringBuilder to, int depth) {
        if (value instanceof String) {
            Json.quote((String) value, to);
        } else if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) {
            to.append(value);
        } else if (value instanceof Double && !((Double) value).isNaN() && !((Double) value).isInfinite()) {
            to.append(value);
        } else if (depth == DEPTH || value.getClass().getClassLoader() != null) {
            return false; // a class of the function's own may have its own ideas of how it is written
        } else if (value instanceof Map) {
            return appendMap((Map<?, ?>) value, to, depth + 1);
        } else if (value instanceof List) {
            return appendList((List<?>) value, to, depth + 1);
        } else {
            return false;
        }
        return true;
    }

    private static boolean appendMap(Map<?, ?> map, StringBuilder to, int depth) {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (!(entry.getKey() instanceof String)) {
                return false;
            }
            if (entry.getValue() == null) {
                continue; // as AWS's serializers do
            }
            Json.quote((String) entry.getKey(), to.append(separator));
            if (!append(entry.getValue(), to.append(':'), depth)) {
                return false;
            }
            separator = ",";
        }
        to.append(separator.equals("{") ? "{}" : "}");
        return true;
    }

    private static boolean appendList(List<?> list, StringBuilder to, int depth) {
        String separator = "[";
        for (Object value : list) {
            if (!append(value, to.append(separator), depth)) {
                return false;
            }
            separator = ",";
        }
        to.append(separator.equals("[") ? "[]" : "]");
        return true;
    }
}
