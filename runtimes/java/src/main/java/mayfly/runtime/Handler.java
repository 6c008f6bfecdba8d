package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.ByteArrayInputStream;

/** A function's handler, whatever its kind: bytes in, bytes out. */
interface Handler {
    /** Answers an event. */
    void handle(ByteArrayInputStream event, Answer answer, Context context) throws Throwable;

    /** What reads its events and writes its answers; null if they are bytes. */
    Converter converter();

    /** The object that belongs to the function; null if there is none. */
    Object instance();
}
