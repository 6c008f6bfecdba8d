package mayfly.crac;

/**
 * What {@code org.crac} finds in this runtime, as in AWS's own. Functions compile against the published
 * {@code org.crac:crac} and bring it along; it looks for an implementation in the package that the system property
 * {@link #PROPERTY} names, and goes through its classes {@code Core}, {@code Context}, {@code Resource} and the two
 * exceptions by reflection.
 */
public final class Core {
    /** The property that {@code org.crac} reads when it is loaded. */
    public static final String PROPERTY = "org.crac.Core.Compat";

    private static final Context<Resource> GLOBAL = new Registry();

    private Core() {}

    /** The one context of the process. */
    public static Context<Resource> getGlobalContext() {
        return GLOBAL;
    }

    /** When the process is copied is not for the function to say. */
    public static void checkpointRestore() throws CheckpointException, RestoreException {
        throw new UnsupportedOperationException();
    }
}
