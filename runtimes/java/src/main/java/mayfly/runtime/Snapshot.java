package mayfly.runtime;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import mayfly.crac.CheckpointException;
import mayfly.crac.Core;
import mayfly.crac.RestoreException;

/** What happens before the process is copied, and in each copy before its event. */
final class Snapshot {
    private Snapshot() {}

    static void before() throws CheckpointException {
        Core.getGlobalContext().beforeCheckpoint(null);
        System.gc();
    }

    static void after(byte[] body) throws RestoreException {
        Map<?, ?> sent = (Map<?, ?>) Json.parse(new String(body, StandardCharsets.UTF_8));
        Core.getGlobalContext().afterRestore(null);
    }
}
