package copies;

import java.util.Random;
import java.util.function.IntSupplier;

/** Loads a class that it never uses. */
public class Library {
    private final Class<?> unused;

    public Library() throws ClassNotFoundException {
        unused = Class.forName(Library.class.getName() + "$Unused", false, Library.class.getClassLoader());
    }

    public String name(Object event) {
        return unused.getName();
    }

    /** With a place where a lambda is made, and with a generator. */
    static class Unused {
        static final Random RANDOM = new Random();
        static final IntSupplier NUMBER = () -> RANDOM.nextInt();
    }
}
