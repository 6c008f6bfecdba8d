package mayfly.runtime;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import mayfly.crac.Core;

/** What happens before the process is copied, and in each copy before its event. */
final class Snapshot {
    /** How long the JVM gets to compile what it found worth it, and to follow up its collections: each copy would. */
    private static final long SETTLE_MS = 100;

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
        Rehearsal.repeat(handler, loader);
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
        randomness.discard();
        Thread.sleep(SETTLE_MS);
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
