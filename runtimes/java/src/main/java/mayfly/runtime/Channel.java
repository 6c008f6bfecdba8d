package mayfly.runtime;

import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Constructor;
import sun.reflect.ReflectionFactory;

/**
 * The event channel: descriptor 3.
 *
 * <p>A frame is one byte for its kind, four for its length (big-endian), and its body. Out of the process go
 *
 * <pre>
 *     R  ready for an event                   A  answer: JSON, or what a stream handler wrote
 *     I  loading failed, error document       E  the handler threw, error document
 *     S  ready to be copied
 * </pre>
 *
 * <p>and into it come, one after the other,
 *
 * <pre>
 *     V  an event: length of the header (four bytes), header (JSON), event
 *     S  it is about to be copied
 *     C  it is a copy: JSON with the variables that are its own
 * </pre>
 *
 * <p>No child inherits it: the JDK closes all descriptors above 2 between fork and exec.
 */
final class Channel {
    private static final int DESCRIPTOR = 3;

    private final FileInputStream in;
    private final FileOutputStream out;

    private Channel(FileInputStream in, FileOutputStream out) {
        this.in = in;
        this.out = out;
    }

    /** The channel that the platform has opened. */
    static Channel open() throws ReflectiveOperationException {
        // Java has no public way to a descriptor by its number. This one needs no option to open java.io, and such
        // options cost a start 10 ms and more: on the command line the archived graph of modules, in a manifest the
        // machinery of lambdas.
        Constructor<?> constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
        constructor = ReflectionFactory.getReflectionFactory()
                .newConstructorForSerialization(FileDescriptor.class, constructor);
        FileDescriptor descriptor = (FileDescriptor) constructor.newInstance(DESCRIPTOR);
        return new Channel(new FileInputStream(descriptor), new FileOutputStream(descriptor));
    }

    /** One on which nobody hears anything; to be closed. */
    static Channel nowhere() throws IOException {
        return new Channel(null, new FileOutputStream("/dev/null"));
    }

    void close() throws IOException {
        out.close();
    }

    /** Sends a frame that has no body. */
    void send(char kind) throws IOException {
        send(kind, new byte[0], 0);
    }

    /** Sends one frame, after everything that was printed before it. */
    void send(char kind, byte[] body, int length) throws IOException {
        System.out.flush();
        System.err.flush();
        byte[] head = {
            (byte) kind, (byte) (length >>> 24), (byte) (length >>> 16), (byte) (length >>> 8), (byte) length
        };
        out.write(head);
        out.write(body, 0, length);
    }

    /** Waits for the next frame, in one read from the descriptor: a copy of this process goes on from there. */
    Frame receive() throws IOException {
        byte[] head = read(5);
        return new Frame((char) head[0], read(number(head, 1)));
    }

    /** What came in. */
    static final class Frame {
        final char kind;
        final byte[] body;

        Frame(char kind, byte[] body) {
            this.kind = kind;
            this.body = body;
        }
    }

    /** Waits to be killed. Threads of the function go on until then. */
    void waitForTheEnd() throws IOException {
        byte[] ignored = new byte[512];
        while (in.read(ignored) >= 0) {
            continue;
        }
    }

    /** Reads exactly so many bytes. */
    private byte[] read(int length) throws IOException {
        byte[] bytes = new byte[length];
        for (int filled = 0; filled < length; ) {
            int count = in.read(bytes, filled, length - filled);
            if (count < 0) {
                throw new EOFException();
            }
            filled += count;
        }
        return bytes;
    }

    /** The four bytes at an offset as a number. */
    static int number(byte[] bytes, int at) {
        int number = 0;
        for (int i = at; i < at + 4; i++) {
            number = number << 8 | bytes[i] & 0xff;
        }
        return number;
    }
}
