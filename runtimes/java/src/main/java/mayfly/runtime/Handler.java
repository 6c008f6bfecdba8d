package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.ByteArrayInputStream;

/** A function's handler, whatever its kind: bytes in, bytes out. */
interface Handler {
    void handle(ByteArrayInputStream event, Answer answer, Context context) throws Throwable;
}
