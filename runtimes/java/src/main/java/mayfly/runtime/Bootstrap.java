package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import java.io.IOError;
import java.io.IOException;
import java.lang.reflect.Field;
import mayfly.crac.Core;

/**
 * Loads a function, hands it one event after the other, sends its answers back. Between events it may be copied.
 *
 * <p>Runs on Java 11 and later inside a sandbox. Every class that it loads, every start pays for: no lambdas, no
 * regular expressions, no formats on the way to the handler, and Jackson only for handlers whose types need it.
 */
public final class Bootstrap {
    /** The property by which AWS's X-Ray library knows the trace of an event. */
    static final String TRACE = "com.amazonaws.xray.traceHeader";

    private Bootstrap() {}

    /** The life of this process. With an argument, only a rehearsal of it. */
    public static void main(String[] arguments) throws Throwable {
        if (arguments.length > 0) {
            Rehearsal.run();
            return;
        }
        Channel channel = Channel.open();
        Log log = new Log();
        try {
            live(channel, log);
        } catch (IOException end) {
            // The platform has closed the channel: nobody waits any more.
        }
        Runtime.getRuntime().halt(0);
    }

    private static void live(Channel channel, Log log) throws Throwable {
        Handler handler;
        TaskLoader loader;
        try {
            provide(log);
            System.setProperty(Core.PROPERTY, Core.class.getPackageName());
            loader = new TaskLoader();
            Thread.currentThread().setContextClassLoader(loader);
            handler = Handlers.load(variable("_HANDLER"), loader);
        } catch (Throwable error) {
            report(channel, 'I', log, error);
            channel.waitForTheEnd();
            return;
        }
        channel.send('R');
        Snapshot snapshot = null;
        while (true) {
            Channel.Frame frame = channel.receive();
            if (frame.kind == 'V') {
                if (!answer(new Event(frame.body), handler, channel, log)) {
                    return;
                }
                continue;
            }
            try {
                if (frame.kind == 'S') {
                    snapshot = new Snapshot(handler, loader, log);
                    snapshot.before();
                } else if (frame.kind == 'C' && snapshot != null) {
                    snapshot.after(frame.body);
                } else {
                    throw new IOException("a frame that was not expected");
                }
            } catch (Throwable error) {
                report(channel, 'I', log, error);
                channel.waitForTheEnd();
                return;
            }
            channel.send(frame.kind == 'S' ? 'S' : 'R');
        }
    }

    /** Has an event handled; whether the process is good for another one. */
    static boolean answer(Event event, Handler handler, Channel channel, Log log) throws IOException {
        Answer answer = new Answer();
        try {
            handler.handle(event.payload, answer, prepare(event, log));
        } catch (Throwable error) {
            report(channel, 'E', log, error);
            // As in AWS's runtime: after these, nobody knows what still holds.
            return !(error instanceof VirtualMachineError || error instanceof IOError);
        }
        channel.send('A', answer.buffer(), answer.size());
        Thread.interrupted();
        return true;
    }

    /** Makes the log known where AWS's libraries for logging look for it. */
    static void provide(Log log) throws ReflectiveOperationException {
        Field logger = LambdaRuntime.class.getDeclaredField("logger");
        logger.setAccessible(true);
        logger.set(null, log);
    }

    /** Tells all who have to know which event it is. */
    private static EventContext prepare(Event event, Log log) {
        if (event.traceId != null) {
            System.setProperty(TRACE, event.traceId);
        } else {
            System.clearProperty(TRACE);
        }
        log.speaksOf(event.requestId);
        Log4j.speaksOf(event.requestId);
        return new EventContext(event, log);
    }

    /** Logs an error and sends its document. */
    private static void report(Channel channel, char kind, Log log, Throwable error) throws IOException {
        byte[] document;
        try {
            Failure failure = Failure.of(error);
            log.error(failure.text());
            document = failure.document();
        } catch (Throwable worse) {
            // Memory may be short, or the exception's own methods may throw.
            document = Failure.bare(error);
        }
        channel.send(kind, document, document.length);
    }

    /** A variable of the environment; empty if it is not set. */
    static String variable(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value;
    }
}
