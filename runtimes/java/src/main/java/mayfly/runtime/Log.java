package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/**
 * The log, as text or as JSON. A record is one line: carriage returns, which the platform shows as ends of lines, keep
 * the lines of a record together.
 */
final class Log implements LambdaLogger {
    private final OutputStream out;
    private final boolean json = "JSON".equals(Bootstrap.variable("AWS_LAMBDA_LOG_FORMAT"));
    private volatile String requestId;

    /** A log that the platform reads. */
    Log() {
        this(new FileOutputStream(FileDescriptor.out));
    }

    Log(OutputStream out) {
        this.out = out;
    }

    /** From here on, records bear the id of the event. */
    void speaksOf(String event) {
        requestId = event;
    }

    @Override
    public void log(String message) {
        String text = String.valueOf(message);
        record(json ? structured(text, "UNDEFINED") : text);
    }

    @Override
    public void log(byte[] message) {
        record(message == null ? "null" : new String(message, StandardCharsets.UTF_8));
    }

    @Override
    public void log(String message, LogLevel level) {
        if (level == LogLevel.UNDEFINED) {
            log(message);
        } else if (isEnabled(level)) {
            record(json ? structured(String.valueOf(message), level.name()) : "[" + level + "] " + message);
        }
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        if (isEnabled(level)) {
            log(message);
        }
    }

    /** Logs what the runtime itself has to say of an error. */
    void error(String text) {
        record(json ? structured(text, "ERROR") : text);
    }

    private static boolean isEnabled(LogLevel level) {
        return level == LogLevel.UNDEFINED || level.ordinal() >= Lowest.LEVEL.ordinal();
    }

    /** Read when the first message with a level comes. */
    private static final class Lowest {
        static final LogLevel LEVEL = of(Bootstrap.variable("AWS_LAMBDA_LOG_LEVEL"));

        private static LogLevel of(String name) {
            return name.isEmpty() ? LogLevel.UNDEFINED : LogLevel.fromString(name);
        }
    }

    private String structured(String message, String level) {
        StringBuilder json = new StringBuilder(message.length() + 128).append("{\"timestamp\":\"");
        now(json).append("\",\"message\":");
        Json.quote(message, json);
        json.append(",\"level\":\"").append(level).append('"');
        if (requestId != null) {
            Json.quote(requestId, json.append(",\"AWSRequestId\":"));
        }
        return json.append('}').toString();
    }

    /** Appends the time as {@code 2026-01-31T12:00:00.000Z}. */
    private static StringBuilder now(StringBuilder to) {
        long millis = System.currentTimeMillis();
        LocalDateTime time = LocalDateTime.ofEpochSecond(millis / 1000, 0, ZoneOffset.UTC);
        digits(time.getYear(), 4, to).append('-');
        digits(time.getMonthValue(), 2, to).append('-');
        digits(time.getDayOfMonth(), 2, to).append('T');
        digits(time.getHour(), 2, to).append(':');
        digits(time.getMinute(), 2, to).append(':');
        digits(time.getSecond(), 2, to).append('.');
        return digits((int) (millis % 1000), 3, to).append('Z');
    }

    private static StringBuilder digits(int number, int width, StringBuilder to) {
        String digits = Integer.toString(number);
        for (int i = digits.length(); i < width; i++) {
            to.append('0');
        }
        return to.append(digits);
    }

    /** Writes one record in one piece, so that records of several threads do not mix. */
    private void record(String text) {
        int end = text.length();
        while (end > 0 && (text.charAt(end - 1) == '\n' || text.charAt(end - 1) == '\r')) {
            end--;
        }
        String line = text.substring(0, end).replace("\r\n", "\r").replace('\n', '\r') + "\n";
        try {
            System.out.flush();
            out.write(line.getBytes(StandardCharsets.UTF_8));
        } catch (IOException gone) {
            // Nobody reads the log any more.
        }
    }
}
