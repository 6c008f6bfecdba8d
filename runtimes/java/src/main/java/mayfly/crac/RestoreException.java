package mayfly.crac;

/** Says what the hooks {@code afterRestore} threw: the suppressed exceptions. */
public class RestoreException extends Exception {
    private static final long serialVersionUID = 1;
}
