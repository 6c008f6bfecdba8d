package mayfly.runtime;

import java.io.ByteArrayInputStream;
import java.lang.reflect.Type;

/** Makes an object of the event, and the answer of an object. */
final class Converter {
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};

    /** Null if nobody wants the event. */
    private final Serializer event;
    /** Null if the handler answers nothing. */
    private final Serializer answer;

    Converter(Type event, Type answer) {
        this.event = event == null ? null : Serializer.of(event);
        this.answer = isNothing(answer) ? null : Serializer.of(answer);
    }

    private static boolean isNothing(Type type) {
        return type == null || type == void.class || type == Void.class;
    }

    /** Reads and writes nothing, and says whether Jackson may take part when it is something. */
    boolean rehearse() {
        boolean jackson = false;
        for (Serializer one : new Serializer[] {event, answer}) {
            if (one != null) {
                jackson |= one.rehearse(one == answer);
            }
        }
        return jackson;
    }

    Object read(ByteArrayInputStream from) {
        if (event == null) {
            return null;
        }
        try {
            return event.read(from);
        } catch (Throwable error) {
            throw new RuntimeException("An error occurred during JSON parsing", error);
        }
    }

    void write(Object value, Answer to) {
        if (answer == null) {
            to.writeBytes(NULL);
            return;
        }
        try {
            answer.write(value, to);
        } catch (Throwable error) {
            throw new RuntimeException("An error occurred during JSON serialization of response", error);
        }
    }
}
