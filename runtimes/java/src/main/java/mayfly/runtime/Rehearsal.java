package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Lives through events of the usual kinds without a platform.
 *
 * <p>So the JVM can archive the classes that take part: the platform has it do so once, and each start is spared most
 * of the loading. And what a process has rehearsed before it is copied, no copy needs to load or compile.
 */
public final class Rehearsal {
    private static final String EVENT = "{\"name\":\"a\",\"count\":1,\"number\":1,\"truth\":true,\"ratio\":0.5,\"tags\":[\"b\"],"
            + "\"more\":{\"c\":null,\"d\":[1,2]}}";
    /** Its id is empty, for where Log4j is told of it nobody is told that it was none. */
    private static final String HEADER = "{\"request_id\":\"\",\"deadline_ms\":1,\"trace_id\":\"t\","
            + "\"client_context\":\"{\\\"custom\\\":{}}\",\"function_arn\":\"f\"}";

    private Rehearsal() {}

    /** Handlers whose events and answers are plain, and those for which Jackson is needed. */
    private static final String[] PLAIN = {"::objects", "::maps", "::fail"};
    private static final String[] FULL = {"", "::text"};

    /** So often a rehearsal has to be repeated for the JVM to compile what each event needs. */
    static final int TO_COMPILE = 20;

    static void run() throws Throwable {
        Channel.open();
        Log log = new Log(OutputStream.nullOutputStream());
        Bootstrap.provide(log);
        TaskLoader loader = new TaskLoader();
        loader.own(unpacked(Function.class));
        live(PLAIN, loader, log);
        live(FULL, loader, log);
        Snapshot snapshot = new Snapshot(Handlers.load(Function.class.getName(), loader), loader, log);
        snapshot.before();
        snapshot.after("{\"environment\":{}}".getBytes(StandardCharsets.UTF_8));
    }

    /** Lives through events in which all takes part that is part of one of this handler, except for it. */
    static void repeat(Handler handler, TaskLoader loader, int times) throws Throwable {
        Idioms.use();
        Log4j.isUsed();
        if (Serializer.isOfFunction()) {
            return; // it would read and write these
        }
        Log log = new Log(OutputStream.nullOutputStream());
        boolean full = false;
        try {
            full = handler.converter() != null && handler.converter().rehearse();
        } catch (RuntimeException | LinkageError unreadable) {
            // Events will say so, too.
        }
        for (int i = 0; i < times; i++) {
            live(PLAIN, loader, log);
            if (full) {
                live(FULL, loader, log);
            }
        }
    }

    private static void live(String[] handlers, TaskLoader loader, Log log) throws Throwable {
        Channel nowhere = Channel.nowhere();
        try {
            for (String name : handlers) {
                Handler handler = Handlers.load(Function.class.getName() + name, loader);
                Bootstrap.answer(event(), handler, nowhere, log);
            }
        } finally {
            nowhere.close();
            System.clearProperty(Bootstrap.TRACE);
        }
    }

    /** Puts a class into the package, as those of functions lie there; its name. */
    private static String unpacked(Class<?> type) throws IOException {
        String path = type.getName().replace('.', '/') + ".class";
        Path target = Path.of(Bootstrap.variable("LAMBDA_TASK_ROOT"), path);
        Files.createDirectories(target.getParent());
        try (InputStream bytes = type.getClassLoader().getResourceAsStream(path)) {
            Files.copy(bytes, target);
        }
        return type.getName();
    }

    /** An event as it comes over the channel. */
    private static Event event() {
        byte[] header = HEADER.getBytes(StandardCharsets.UTF_8);
        byte[] event = EVENT.getBytes(StandardCharsets.UTF_8);
        byte[] body = new byte[4 + header.length + event.length];
        body[3] = (byte) header.length;
        System.arraycopy(header, 0, body, 4, header.length);
        System.arraycopy(event, 0, body, 4 + header.length, event.length);
        return new Event(body);
    }

    /** A function of each kind. */
    public static final class Function implements RequestHandler<Function.Request, Function.Reply> {
        @Override
        public Reply handleRequest(Request request, Context context) {
            context.getLogger().log(request.name, LogLevel.ERROR);
            return new Reply(request);
        }

        public Object objects(Object event) {
            return event;
        }

        public Map<String, Object> maps(Map<String, Object> event, Context context) {
            return new HashMap<>(event);
        }

        public String text(Reply event) {
            return "text";
        }

        public void fail(Object event) {
            throw new IllegalArgumentException();
        }

        /** An event with fields. */
        public static final class Request {
            public String name;
            public int count;
            public long number;
            public boolean truth;
            public double ratio;
            public List<String> tags;
            public Map<String, Object> more;
        }

        /** An answer with methods. */
        public static final class Reply {
            private Request request;

            public Reply() {}

            Reply(Request request) {
                this.request = request;
            }

            public Request getRequest() {
                return request;
            }

            public void setRequest(Request request) {
                this.request = request;
            }

            public Date getDate() {
                return new Date(0);
            }

            public Instant getInstant() {
                return Instant.EPOCH;
            }

            public Optional<String> getNothing() {
                return Optional.empty();
            }
        }
    }
}
