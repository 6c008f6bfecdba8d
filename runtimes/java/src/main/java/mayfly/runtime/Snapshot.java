package mayfly.runtime;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import mayfly.crac.Core;

/** What happens before the process is copied, and in each copy before its event. */
final class Snapshot {
    /** How long the JVM gets to follow up its collections: each copy would. */
    private static final long SETTLE_MS = 100;

    /** How long it gets at the most to compile what it found worth it. */
    private static final long COMPILE_NS = 5_000_000_000L;

    /** Compilers that have worked for less than a tenth of this time have nothing left to do. */
    private static final long PAUSE_MS = 20;

    /** How long that may take. */
    private static final long LINK_NS = 500_000_000;

    private final Handler handler;
    private final TaskLoader loader;
    private final Log log;
    private Randomness randomness;

    Snapshot(Handler handler, TaskLoader loader, Log log) {
        this.handler = handler;
        this.loader = loader;
        this.log = log;
    }

    /** The function's hooks, and then all that need not be done in each copy. */
    void before() throws Throwable {
        Core.getGlobalContext().beforeCheckpoint(null);
        Rehearsal.repeat(handler, loader, Rehearsal.TO_COMPILE);
        link();
        randomness = new Randomness(handler.instance(), loader.classes());
        if (!randomness.isComplete()) {
            log.error("the function is too large to find all that is random in it: what classes other than"
                    + " SecureRandom give may be the same in several processes");
        }
        rehearse();
        // What the first collection frees may have to be finalised before the second one can.
        System.gc();
        System.gc();
        Thread.sleep(SETTLE_MS);
        letCompile();
        // The calls in code that has not run since it was compiled are not linked.
        Rehearsal.repeat(handler, loader, 2);
        rehearse();
        randomness.discard();
    }

    /** Waits until the JVM's compilers are idle: what they have not done, they would do in each copy. */
    private static void letCompile() throws InterruptedException {
        try {
            List<File> compilers = compilers();
            long end = System.nanoTime() + COMPILE_NS;
            long before;
            long now = worked(compilers);
            do {
                Thread.sleep(PAUSE_MS);
                before = now;
                now = worked(compilers);
            } while ((now - before) * 10 > PAUSE_MS * 1_000_000 && System.nanoTime() < end);
        } catch (IOException | NumberFormatException unknown) {
            // A kernel that does not tell: what the pause above has not sufficed for, copies compile.
        }
    }

    /** Where the kernel tells how long each of the JVM's compilers has run. */
    private static List<File> compilers() throws IOException {
        List<File> found = new ArrayList<>();
        File[] threads = new File("/proc/self/task").listFiles();
        for (File thread : threads == null ? new File[0] : threads) {
            if (text(new File(thread, "comm")).contains("CompilerThre")) {
                found.add(new File(thread, "schedstat"));
            }
        }
        return found;
    }

    /** For how many nanoseconds they have run. */
    private static long worked(List<File> compilers) throws IOException {
        long sum = 0;
        for (File compiler : compilers) {
            sum += Long.parseLong(text(compiler).split(" ")[0]);
        }
        return sum;
    }

    /** What stands in a small file; read without a channel, for which the JDK would keep a socket. */
    private static String text(File file) throws IOException {
        try (FileInputStream in = new FileInputStream(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Has the JVM make what the function's classes would otherwise have it make in each copy, the handler's first. */
    private void link() {
        long end = System.nanoTime() + LINK_NS;
        if (handler.instance() != null) {
            CallSites.link(handler.instance().getClass());
        }
        for (Class<?> type : loader.classes()) {
            if (System.nanoTime() > end) {
                return;
            }
            CallSites.link(type);
        }
    }

    /** Goes the way of {@link #after}, except for the function's hooks. */
    private void rehearse() throws IOException, ReflectiveOperationException {
        take("{\"environment\":{}}".getBytes(StandardCharsets.UTF_8));
        randomness.renew();
    }

    /** Makes a process of its own of this copy. */
    void after(byte[] body) throws Throwable {
        take(body);
        randomness.renew();
        Core.getGlobalContext().afterRestore(null);
    }

    /** Sets the variables of the environment that are this copy's own. */
    private static void take(byte[] body) {
        Map<?, ?> sent = (Map<?, ?>) Json.parse(new String(body, StandardCharsets.UTF_8));
        // A view of the map that processes which are started inherit, too.
        Map<String, String> environment = writable(System.getenv());
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) sent.get("environment")).entrySet()) {
            environment.put((String) entry.getKey(), (String) entry.getValue());
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, String> writable(Map<String, String> environment) {
        return (Map<String, String>) Fields.read(environment, "m");
    }
}
