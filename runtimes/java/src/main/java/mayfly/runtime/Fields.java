package mayfly.runtime;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles.Lookup;
import java.lang.invoke.MethodType;
import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Unsafe;

/**
 * Fields of objects and classes, also of the JDK's own, which reflection does not open any more. No class is
 * initialised for it: what one that is not has in its static fields is null.
 */
final class Fields {
    private static final Unsafe UNSAFE = unsafe();

    private Fields() {}

    private static Unsafe unsafe() {
        try {
            Field field = Unsafe.class.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            return (Unsafe) field.get(null);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException("this JVM does not show its random state", error);
        }
    }

    /** A class of the JDK that this JVM may have; null if it has none of that name. */
    static Class<?> type(String name) {
        try {
            return Class.forName(name, false, ClassLoader.getSystemClassLoader());
        } catch (ClassNotFoundException | LinkageError absent) {
            return null;
        }
    }

    /** A field that a class may have; null if it has none of that name. */
    static Field find(Class<?> type, String name) {
        try {
            return type == null ? null : type.getDeclaredField(name);
        } catch (NoSuchFieldException | LinkageError absent) {
            return null;
        }
    }

    /**
     * Whether a class has been initialised; {@code unknown} where the JVM does not say. To find the fields of one that has
     * not makes the JVM link it, and throw away all code that was compiled in the belief that no class like it exists.
     */
    static boolean isInitialised(Class<?> type, boolean unknown) {
        try {
            return Inside.TO_BE_INITIALISED == null ? unknown : !(boolean) Inside.TO_BE_INITIALISED.invoke(type);
        } catch (Throwable error) {
            return unknown;
        }
    }

    /** What only the JDK may ask, except for one who reads the key to it from its field. */
    private static final class Inside {
        static final MethodHandle TO_BE_INITIALISED = method();

        private static MethodHandle method() {
            try {
                Lookup lookup = (Lookup) readStatic(Lookup.class.getDeclaredField("IMPL_LOOKUP"));
                Class<?> unsafe = Class.forName("jdk.internal.misc.Unsafe");
                Object instance = lookup.findStatic(unsafe, "getUnsafe", MethodType.methodType(unsafe)).invoke();
                MethodType type = MethodType.methodType(boolean.class, Class.class);
                return lookup.findVirtual(unsafe, "shouldBeInitialized", type).bindTo(instance);
            } catch (Throwable unknown) {
                return null; // a JVM of another kind
            }
        }
    }

    /** What a static field of a class refers to; null if there is no such class or field. */
    static Object read(String type, String name) {
        Field field = find(type(type), name);
        return field == null ? null : readStatic(field);
    }

    /** What a field of an object refers to; null if there is no such field. */
    static Object read(Object object, String name) {
        Field field = find(object.getClass(), name);
        return field == null ? null : UNSAFE.getObject(object, UNSAFE.objectFieldOffset(field));
    }

    /** The same, of a field that a class above the object's own may have. */
    static Object inherited(Object object, String name) {
        for (Class<?> type = object.getClass(); type != null; type = type.getSuperclass()) {
            Field field = find(type, name);
            if (field != null) {
                return UNSAFE.getObject(object, UNSAFE.objectFieldOffset(field));
            }
        }
        return null;
    }

    private static Object readStatic(Field field) {
        return UNSAFE.getObject(UNSAFE.staticFieldBase(field), UNSAFE.staticFieldOffset(field));
    }

    /** Sets a field that an object may have. */
    static void write(Object object, Field field, long value) {
        if (field != null) {
            long offset = UNSAFE.objectFieldOffset(field);
            if (field.getType() == int.class) {
                UNSAFE.putInt(object, offset, (int) value);
            } else {
                UNSAFE.putLong(object, offset, value);
            }
        }
    }

    /** Makes an object what another one of its class is: the numbers in its fields, and the arrays. */
    static void copy(Object from, Object to) {
        for (Class<?> type = from.getClass(); type != Object.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (Modifier.isStatic(field.getModifiers())) {
                    continue;
                }
                long offset = UNSAFE.objectFieldOffset(field);
                if (field.getType() == int.class) {
                    UNSAFE.putInt(to, offset, UNSAFE.getInt(from, offset));
                } else if (field.getType() == long.class) {
                    UNSAFE.putLong(to, offset, UNSAFE.getLong(from, offset));
                } else if (field.getType().isArray()) {
                    UNSAFE.putObject(to, offset, UNSAFE.getObject(from, offset));
                }
            }
        }
    }

    /** What the static fields of a class refer to. */
    static List<Object> statics(Class<?> type) {
        List<Object> found = new ArrayList<>();
        for (Field field : declared(type)) {
            boolean reference = Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive();
            if (reference && !isClosed(type)) {
                found.add(readStatic(field));
            }
        }
        return found;
    }

    private static Field[] declared(Class<?> type) {
        try {
            return type.getDeclaredFields();
        } catch (LinkageError absent) {
            return new Field[0]; // the class of a field is not there: nobody has told what the others are
        }
    }

    /** Classes of lambdas, and records, which only reflection reads. */
    private static boolean isClosed(Class<?> type) {
        Class<?> above = type.getSuperclass();
        return type.getName().indexOf('/') >= 0 || above != null && above.getName().equals("java.lang.Record");
    }

    /** Where the objects of a class refer to others. */
    static final class Shape {
        private final long[] offsets;
        private final Field[] closed;

        Shape(Class<?> of) {
            List<Field> closed = new ArrayList<>();
            List<Field> open = new ArrayList<>();
            for (Class<?> type = of; type != null; type = type.getSuperclass()) {
                for (Field field : declared(type)) {
                    boolean reference = !Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive();
                    if (!reference || type == Reference.class) {
                        continue; // what a reference refers to, it says itself
                    }
                    if (!isClosed(type)) {
                        open.add(field);
                    } else if (open(field)) {
                        closed.add(field);
                    }
                }
            }
            this.closed = closed.toArray(new Field[0]);
            offsets = new long[open.size()];
            for (int i = 0; i < offsets.length; i++) {
                offsets[i] = UNSAFE.objectFieldOffset(open.get(i));
            }
        }

        private static boolean open(Field field) {
            try {
                field.setAccessible(true);
                return true;
            } catch (RuntimeException refused) {
                return false; // a lambda of the JDK's own
            }
        }

        boolean isEmpty() {
            return offsets.length == 0 && closed.length == 0;
        }

        int size() {
            return offsets.length + closed.length;
        }

        /** The object that one refers to; perhaps null. */
        Object follow(Object object, int index) {
            if (index < offsets.length) {
                return UNSAFE.getObject(object, offsets[index]);
            }
            try {
                return closed[index - offsets.length].get(object);
            } catch (IllegalAccessException refused) {
                return null;
            }
        }
    }
}
