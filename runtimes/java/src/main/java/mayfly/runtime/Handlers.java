package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** Finds the handler: a class that implements one of Lambda's interfaces, or a method of any class. */
final class Handlers {
    private Handlers() {}

    /** The handler called {@code name}: {@code package.Class} or {@code package.Class::method}. */
    static Handler load(String name, TaskLoader loader) throws Throwable {
        int colons = name.lastIndexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String method = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || method != null && method.isEmpty()) {
            throw new Fault("Runtime.MalformedHandlerName", "Invalid handler: `" + name + "'");
        }
        Class<?> type = loadClass(className, loader);
        return method == null ? ofInterface(type) : ofMethod(type, method);
    }

    private static Class<?> loadClass(String name, TaskLoader loader) throws Fault {
        try {
            return Class.forName(name, true, loader);
        } catch (ClassNotFoundException error) {
            throw new Fault(error.getClass().getName(), "Class not found: " + name, error);
        } catch (Throwable error) {
            String reason = error.getMessage() == null ? "" : ": " + error.getMessage();
            throw new Fault(error.getClass().getName(), "Error loading class " + name + reason, error);
        }
    }

    // Interfaces

    private static Handler ofInterface(Class<?> type) throws Fault {
        if (RequestStreamHandler.class.isAssignableFrom(type)) {
            return new OfStreams((RequestStreamHandler) instance(type));
        }
        if (!RequestHandler.class.isAssignableFrom(type)) {
            String message = "Class does not implement an appropriate handler interface: " + type.getName();
            throw new Fault("Runtime.HandlerNotFound", message);
        }
        TypeVariable<?>[] variables = RequestHandler.class.getTypeParameters();
        Types types = new Types(type);
        Converter converter = new Converter(
                concrete(types.resolve(variables[0]), type), concrete(types.resolve(variables[1]), type));
        return new OfObjects(instance(type), converter);
    }

    /** Makes sure that a type says something of what is wanted. */
    private static Type concrete(Type type, Class<?> handler) throws Fault {
        if (type instanceof TypeVariable && ((TypeVariable<?>) type).getBounds()[0] == Object.class) {
            String message = "Class " + handler.getName()
                    + " does not implement RequestHandler with concrete type parameters: parameter "
                    + type + " has no upper bound.";
            throw new Fault("Runtime.HandlerNotFound", message);
        }
        return type;
    }

    private static Object instance(Class<?> type) throws Fault {
        try {
            return constructor(type).newInstance();
        } catch (InvocationTargetException error) {
            throw fault(error.getCause());
        } catch (ReflectiveOperationException error) {
            throw fault(error);
        }
    }

    private static Constructor<?> constructor(Class<?> type) throws Fault {
        try {
            return type.getConstructor();
        } catch (NoSuchMethodException error) {
            boolean inner = type.getEnclosingClass() != null && !Modifier.isStatic(type.getModifiers());
            throw new Fault("java.lang.Exception", "Class " + type.getName() + (inner
                    ? " cannot be instantiated because it is a non-static inner class"
                    : " has no public zero-argument constructor"));
        }
    }

    /** A fault that an exception of the function's own constructor brought. */
    private static Fault fault(Throwable error) {
        String message = error.getLocalizedMessage();
        String kind = error.getClass().getName();
        return new Fault(kind, message == null ? kind : message, error);
    }

    private static final class OfStreams implements Handler {
        private final RequestStreamHandler handler;

        OfStreams(RequestStreamHandler handler) {
            this.handler = handler;
        }

        @Override
        public void handle(ByteArrayInputStream event, Answer answer, Context context) throws Throwable {
            handler.handleRequest(event, answer, context);
        }

        @Override
        public Converter converter() {
            return null;
        }

        @Override
        public Object instance() {
            return handler;
        }
    }

    private static final class OfObjects implements Handler {
        private final RequestHandler<Object, Object> handler;
        private final Converter converter;

        @SuppressWarnings("unchecked")
        OfObjects(Object handler, Converter converter) {
            this.handler = (RequestHandler<Object, Object>) handler;
            this.converter = converter;
        }

        @Override
        public void handle(ByteArrayInputStream event, Answer answer, Context context) throws Throwable {
            converter.write(handler.handleRequest(converter.read(event), context), answer);
        }

        @Override
        public Converter converter() {
            return converter;
        }

        @Override
        public Object instance() {
            return handler;
        }
    }

    // Methods

    /**
     * The method of a name. Of several, those that the compiler made come last; then the one with the most parameters
     * wins, where a last parameter that is the context counts twice.
     */
    private static Handler ofMethod(Class<?> type, String name) throws Throwable {
        List<Method> candidates = new ArrayList<>();
        for (Method method : publicMethods(type, name)) {
            if (method.getName().equals(name)) {
                candidates.add(method);
            }
        }
        Collections.sort(candidates, new Preference());
        for (Method method : candidates) {
            Signature signature = new Signature(method);
            if (signature.isPossible()) {
                Object instance = Modifier.isStatic(method.getModifiers()) ? null : instance(type);
                return new OfMethod(method, instance, signature, new Types(type));
            }
        }
        throw new Fault("Runtime.HandlerNotFound",
                "No public method named " + name + " with appropriate method signature found on class "
                        + type.getName());
    }

    private static Method[] publicMethods(Class<?> type, String name) throws Fault {
        try {
            return type.getMethods();
        } catch (NoClassDefFoundError error) {
            String message = "Error loading method " + name + " on class " + type.getName();
            throw new Fault(error.getClass().getName(), message, error);
        }
    }

    private static final class Preference implements Comparator<Method> {
        @Override
        public int compare(Method one, Method other) {
            int written = Boolean.compare(one.isBridge(), other.isBridge());
            return written != 0 ? written : weight(other) - weight(one);
        }

        private static int weight(Method method) {
            Class<?>[] parameters = method.getParameterTypes();
            int count = parameters.length;
            return count > 0 && parameters[count - 1] == Context.class ? count + 1 : count;
        }
    }

    /** What a method wants: streams or an object or nothing, and perhaps the context. */
    private static final class Signature {
        final boolean in;
        final boolean out;
        /** Null if the method takes no object. */
        final Type event;
        final boolean context;
        private final boolean possible;

        Signature(Method method) {
            Type[] types = method.getGenericParameterTypes();
            int at = 0;
            in = is(types, at, InputStream.class);
            at += in ? 1 : 0;
            out = is(types, at, OutputStream.class);
            at += out ? 1 : 0;
            boolean object = !isOfStreams() && at < types.length && !is(types, at, Context.class);
            event = object ? types[at] : null;
            at += object ? 1 : 0;
            context = is(types, at, Context.class);
            at += context ? 1 : 0;
            possible = at == types.length;
        }

        private static boolean is(Type[] types, int at, Class<?> type) {
            return at < types.length && types[at] == type;
        }

        boolean isOfStreams() {
            return in || out;
        }

        /** Whether nothing is left over that nobody could fill in. */
        boolean isPossible() {
            return possible;
        }

        Object[] arguments(InputStream event, OutputStream answer, Object object, Context given) {
            List<Object> arguments = new ArrayList<>(3);
            if (in) {
                arguments.add(event);
            }
            if (out) {
                arguments.add(answer);
            }
            if (this.event != null) {
                arguments.add(object);
            }
            if (context) {
                arguments.add(given);
            }
            return arguments.toArray();
        }
    }

    private static final class OfMethod implements Handler {
        private final Method method;
        private final Object instance;
        private final Signature signature;
        private final Converter converter;

        OfMethod(Method method, Object instance, Signature signature, Types types) throws Throwable {
            this.method = method;
            this.instance = instance;
            this.signature = signature;
            Type event = signature.event == null ? null : types.resolve(signature.event);
            Type answer = signature.isOfStreams() ? null : types.resolve(method.getGenericReturnType());
            this.converter = new Converter(event, answer);
        }

        @Override
        public void handle(ByteArrayInputStream event, Answer answer, Context context) throws Throwable {
            Object object = converter.read(event);
            Object result;
            try {
                result = method.invoke(instance, signature.arguments(event, answer, object, context));
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
            if (!signature.out) {
                converter.write(result, answer);
            }
        }

        @Override
        public Converter converter() {
            return signature.isOfStreams() ? null : converter;
        }

        @Override
        public Object instance() {
            return instance;
        }
    }
}
