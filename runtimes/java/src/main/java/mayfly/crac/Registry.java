package mayfly.crac;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The resources in the order in which they were registered. As everywhere in CRaC, somebody else has to hold on to a
 * resource: one that nobody uses any more is not told.
 */
final class Registry extends Context<Resource> {
    private final List<WeakReference<Resource>> resources = new ArrayList<>();

    @Override
    public synchronized void register(Resource resource) {
        resources.add(new WeakReference<>(resource));
    }

    /** Calls all hooks, the last registered resource's first; throws afterwards what any of them has thrown. */
    @Override
    public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
        List<Resource> all = alive();
        Collections.reverse(all);
        CheckpointException failed = null;
        for (Resource resource : all) {
            try {
                resource.beforeCheckpoint(this);
            } catch (Exception error) {
                failed = failed == null ? new CheckpointException() : failed;
                gather(error, error instanceof CheckpointException, failed);
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** Calls all hooks, the first registered resource's first; throws afterwards what any of them has thrown. */
    @Override
    public void afterRestore(Context<? extends Resource> context) throws RestoreException {
        RestoreException failed = null;
        for (Resource resource : alive()) {
            try {
                resource.afterRestore(this);
            } catch (Exception error) {
                failed = failed == null ? new RestoreException() : failed;
                gather(error, error instanceof RestoreException, failed);
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** Hooks may register others, which are not told this time. */
    private synchronized List<Resource> alive() {
        List<Resource> alive = new ArrayList<>(resources.size());
        for (WeakReference<Resource> reference : resources) {
            Resource resource = reference.get();
            if (resource != null) {
                alive.add(resource);
            }
        }
        return alive;
    }

    /** Adds an error to the others; of one that itself only gathers, what it has gathered. */
    private static void gather(Exception error, boolean gathers, Exception to) {
        Throwable[] gathered = gathers ? error.getSuppressed() : new Throwable[0];
        if (gathered.length == 0) {
            to.addSuppressed(error);
        }
        for (Throwable one : gathered) {
            to.addSuppressed(one);
        }
    }
}
