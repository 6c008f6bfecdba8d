package mayfly.runtime;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** An error as it is logged and as the caller gets it. */
final class Failure {
    /** The platform takes no longer error document, in bytes. */
    private static final int LONGEST = 1024 * 1024;

    private final String kind;
    private final String message;
    /** Null for a fault that no exception brought. */
    private final Throwable error;
    /** Whether the caller is told where it happened. AWS leaves that out when loading fails. */
    private final boolean traced;

    private Failure(String kind, String message, Throwable error, boolean traced) {
        this.kind = kind;
        this.message = message;
        this.error = error;
        this.traced = traced;
    }

    static Failure of(Throwable error) {
        if (error instanceof Fault) {
            Fault fault = (Fault) error;
            hideRuntime(fault.getCause(), new ArrayList<>());
            return new Failure(fault.kind, fault.getMessage(), fault.getCause(), false);
        }
        hideRuntime(error, new ArrayList<>());
        return new Failure(error.getClass().getName(), message(error), error, true);
    }

    /** What is said of an error that nothing more can be said of. */
    static byte[] bare(Throwable error) {
        String kind = error.getClass().getName();
        return ("{\"errorMessage\":\"" + kind + "\",\"errorType\":\"" + kind + "\"}").getBytes(StandardCharsets.UTF_8);
    }

    /** The lines for the log. */
    String text() {
        if (error == null) {
            return message;
        }
        StringWriter trace = new StringWriter();
        error.printStackTrace(new PrintWriter(trace, true));
        return message + ": " + kind + "\n" + trace;
    }

    /** The document for the caller; without its causes if it would be too long. */
    byte[] document() {
        byte[] whole = document(new ArrayList<>());
        return whole.length <= LONGEST ? whole : shortened();
    }

    private byte[] document(List<Throwable> seen) {
        StringBuilder json = new StringBuilder(512);
        describe(json, kind, message, traced ? error : null, seen);
        return json.toString().getBytes(StandardCharsets.UTF_8);
    }

    private byte[] shortened() {
        // One character becomes six bytes at the most.
        String start = message.substring(0, Math.min(message.length(), LONGEST / 8));
        return new Failure(kind, start, null, false).document(new ArrayList<>());
    }

    private static void describe(
            StringBuilder json, String kind, String message, Throwable error, List<Throwable> seen) {
        json.append("{\"errorMessage\":");
        Json.quote(message, json);
        json.append(",\"errorType\":");
        Json.quote(kind, json);
        if (error != null) {
            json.append(",\"stackTrace\":[");
            String separator = "";
            for (StackTraceElement frame : error.getStackTrace()) {
                Json.quote(frame.toString(), json.append(separator));
                separator = ",";
            }
            json.append(']');
            seen.add(error);
            Throwable cause = error.getCause();
            if (cause != null && !has(seen, cause)) {
                describe(json.append(",\"cause\":"), cause.getClass().getName(), message(cause), cause, seen);
            }
        }
        json.append('}');
    }

    private static String message(Throwable error) {
        String message = error.getLocalizedMessage();
        return message == null ? error.getClass().getName() : message;
    }

    /** Cuts the frames of this runtime, and what called it, off an error and all that belong to it. */
    private static void hideRuntime(Throwable error, List<Throwable> seen) {
        if (error == null || has(seen, error)) {
            return;
        }
        seen.add(error);
        StackTraceElement[] frames = error.getStackTrace();
        for (int i = 0; i < frames.length; i++) {
            if (frames[i].getClassName().startsWith("mayfly.runtime.")) {
                error.setStackTrace(java.util.Arrays.copyOf(frames, i));
                break;
            }
        }
        hideRuntime(error.getCause(), seen);
        for (Throwable suppressed : error.getSuppressed()) {
            hideRuntime(suppressed, seen);
        }
    }

    /** Whether this very error is in the list: exceptions may say that they equal others. */
    private static boolean has(List<Throwable> seen, Throwable error) {
        for (Throwable one : seen) {
            if (one == error) {
                return true;
            }
        }
        return false;
    }
}
