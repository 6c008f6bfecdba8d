package mayfly.crac;

/** Says what the hooks {@code beforeCheckpoint} threw: the suppressed exceptions. */
public class CheckpointException extends Exception {
    private static final long serialVersionUID = 1;
}
