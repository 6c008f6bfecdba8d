package mayfly.runtime;

import java.lang.invoke.MethodType;
import java.lang.ref.Reference;
import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Type;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Looks for generators of random numbers in all that the function has made: in what its classes, its handler and its
 * threads refer to, and so on.
 */
final class Search {
    /** The most objects that are looked into; and one for so many bytes of the heap, for each costs a few. */
    private static final int OBJECTS = 2_000_000;
    private static final int BYTES_PER_OBJECT = 100;
    /** The longest search, in nanoseconds. */
    private static final long TIME = 5_000_000_000L;

    private static final Fields.Shape NONE = new Fields.Shape(Object.class);
    private static final ClassLoader PLATFORM = ClassLoader.getPlatformClassLoader();

    private final List<Object> found = new ArrayList<>();
    private final ArrayDeque<Object> open = new ArrayDeque<>();
    private final IdentityHashMap<Object, Boolean> seen = new IdentityHashMap<>();
    private final Map<Class<?>, Fields.Shape> shapes = new HashMap<>();
    private final Set<Class<?>> classes = new HashSet<>();
    /** Those of them whose static fields are still to be followed. */
    private final ArrayDeque<Class<?>> met = new ArrayDeque<>();
    private final long most = Math.min(OBJECTS, Runtime.getRuntime().maxMemory() / BYTES_PER_OBJECT);
    private final long end = System.nanoTime() + TIME;
    private final boolean all;

    /** A search that looks into all classes, or only into those that have been initialised: others refer to nothing. */
    Search(boolean all) {
        this.all = all;
    }

    /** Adds what the static fields of a class refer to. */
    void begin(Class<?> type) {
        if (all || Fields.isInitialised(type, true)) {
            for (Object value : Fields.statics(type)) {
                add(value);
            }
        }
    }

    /** Adds an object. */
    void begin(Object object) {
        add(object);
    }

    /** Follows all references; whether it came to the end before the limits. */
    boolean run() {
        for (int count = 0; !open.isEmpty() || !met.isEmpty(); count++) {
            if (seen.size() > most || (count & 1023) == 0 && System.nanoTime() > end) {
                return false;
            }
            if (!met.isEmpty()) {
                begin(met.pop());
                continue;
            }
            Object object = open.pop();
            if (object instanceof Object[]) {
                for (Object element : (Object[]) object) {
                    add(element);
                }
                continue;
            }
            Fields.Shape shape = shape(object.getClass());
            for (int i = 0; i < shape.size(); i++) {
                add(shape.follow(object, i));
            }
            if (object instanceof WeakReference || object instanceof SoftReference) {
                add(((Reference<?>) object).get());
            }
        }
        return true;
    }

    /** The generators. */
    List<Object> found() {
        return found;
    }

    private void add(Object object) {
        if (object instanceof Class && isForeign((Class<?>) object)) {
            find((Class<?>) object);
        }
        if (object == null || object instanceof String || object instanceof ClassLoader) {
            return;
        }
        // A class as an object, its methods, its modules: what the JVM knows of it, not what the function has made.
        if (object instanceof AnnotatedElement || object instanceof Type || object instanceof MethodType) {
            return;
        }
        boolean generator = isGenerator(object);
        boolean array = object instanceof Object[];
        if (!generator && !array && shape(object.getClass()).isEmpty()) {
            return;
        }
        if (seen.put(object, Boolean.TRUE) == null) {
            open.push(object);
            if (generator) {
                found.add(object);
            }
        }
    }

    private static boolean isGenerator(Object object) {
        return object instanceof Random || object instanceof SplittableRandom || Randomness.isOfJdk(object.getClass());
    }

    private Fields.Shape shape(Class<?> type) {
        Fields.Shape shape = shapes.get(type);
        if (shape == null) {
            shape = type.isArray() || type.getName().startsWith("java.lang.ref.") ? NONE : new Fields.Shape(type);
            shapes.put(type, shape);
            if (isForeign(type)) {
                find(type);
            }
        }
        return shape;
    }

    /** Comes upon a class, perhaps of a class loader of the function's own. */
    private void find(Class<?> type) {
        if (classes.add(type)) {
            met.push(type);
        }
    }

    /** Whether a class is neither of the JDK nor of this runtime. */
    private static boolean isForeign(Class<?> type) {
        ClassLoader loader = type.getClassLoader();
        return loader != null && loader != PLATFORM && loader != Search.class.getClassLoader();
    }
}
