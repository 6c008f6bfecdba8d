package mayfly.runtime;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The event, and what the platform says about it. */
final class Event {
    final String requestId;
    final String functionArn;
    /** When time is up, in milliseconds since 1970. */
    final long deadline;
    /** JSON text; null if the caller sent none. */
    final String clientContext;
    /** Null if the event is not traced. */
    final String traceId;
    final ByteArrayInputStream payload;

    /** Takes the body of the frame apart. */
    Event(byte[] body) {
        int length = Channel.number(body, 0);
        Map<?, ?> header = (Map<?, ?>) Json.parse(new String(body, 4, length, StandardCharsets.UTF_8));
        requestId = (String) header.get("request_id");
        functionArn = (String) header.get("function_arn");
        deadline = Long.parseLong(header.get("deadline_ms").toString());
        clientContext = (String) header.get("client_context");
        traceId = (String) header.get("trace_id");
        payload = new ByteArrayInputStream(body, 4 + length, body.length - 4 - length);
    }
}
