package mayfly.runtime;

import java.io.ByteArrayOutputStream;

/** Collects what the handler answers, and gives it without a copy. */
final class Answer extends ByteArrayOutputStream {
    Answer() {
        super(1024);
    }

    /** The bytes; those from {@link #size} on are not part of the answer. */
    byte[] buffer() {
        return buf;
    }
}
