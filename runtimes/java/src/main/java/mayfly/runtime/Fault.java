package mayfly.runtime;

/** An error of loading, in Lambda's words, with no frame of the function to blame. */
final class Fault extends Exception {
    private static final long serialVersionUID = 1;

    /** Stands in the error document as the error's type. */
    final String kind;

    Fault(String kind, String message) {
        this(kind, message, null);
    }

    /** A fault with a cause, whose trace is logged. */
    Fault(String kind, String message, Throwable cause) {
        super(message, cause, false, false);
        this.kind = kind;
    }
}
