package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.InputStream;
import java.io.OutputStream;

/** A function's handler, whatever its kind: bytes in, bytes out. */
interface Handler {
    void handle(InputStream event, OutputStream answer, Context context) throws Throwable;
}
