package mayfly.crac;

/** What wants to be told before the process is copied, and in each copy. */
public interface Resource {
    /** The process is about to be copied. */
    void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

    /** This is a copy of the process. */
    void afterRestore(Context<? extends Resource> context) throws Exception;
}
