package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;

/** Tells Log4j the id of the event, if the function logs through AWS's appender: patterns name it AWSRequestId. */
final class Log4j {
    private Log4j() {}

    static void speaksOf(String requestId) {
        if (isUsed()) {
            put("org.apache.logging.log4j.ThreadContext", String.class, requestId);
            put("org.apache.log4j.MDC", Object.class, requestId);
        }
    }

    static boolean isUsed() {
        return LambdaRuntimeInternal.getUseLog4jAppender();
    }

    /** Calls {@code put} of a class that the function may have, version 2's or version 1's. */
    private static void put(String name, Class<?> type, String requestId) {
        try {
            Class<?> context = Class.forName(name, true, Thread.currentThread().getContextClassLoader());
            context.getMethod("put", String.class, type).invoke(null, "AWSRequestId", requestId);
        } catch (ReflectiveOperationException | LinkageError absent) {
            // The function has the other version.
        }
    }
}
