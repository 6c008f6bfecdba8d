package mayfly.runtime;

import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.HashMap;
import java.util.Map;

/** What the type variables in a class and above it stand for. */
final class Types {
    private final Map<TypeVariable<?>, Type> known = new HashMap<>();

    Types(Class<?> of) {
        learn(of);
    }

    private void learn(Type type) {
        Class<?> raw = raw(type);
        if (type instanceof ParameterizedType) {
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            TypeVariable<?>[] variables = raw.getTypeParameters();
            for (int i = 0; i < variables.length; i++) {
                known.put(variables[i], resolve(arguments[i]));
            }
        }
        for (Type above : raw.getGenericInterfaces()) {
            learn(above);
        }
        if (raw.getGenericSuperclass() != null) {
            learn(raw.getGenericSuperclass());
        }
    }

    private static Class<?> raw(Type type) {
        return (Class<?>) (type instanceof ParameterizedType ? ((ParameterizedType) type).getRawType() : type);
    }

    /** A type with its variables replaced, as far as they are known. */
    Type resolve(Type type) {
        if (type instanceof TypeVariable) {
            Type meant = known.get(type);
            return meant == null ? type : meant;
        }
        if (type instanceof ParameterizedType) {
            return new Resolved((ParameterizedType) type);
        }
        return type;
    }

    /** A generic type whose arguments are resolved. */
    private final class Resolved implements ParameterizedType {
        private final ParameterizedType type;

        Resolved(ParameterizedType type) {
            this.type = type;
        }

        @Override
        public Type[] getActualTypeArguments() {
            Type[] arguments = type.getActualTypeArguments();
            for (int i = 0; i < arguments.length; i++) {
                arguments[i] = resolve(arguments[i]);
            }
            return arguments;
        }

        @Override
        public Type getRawType() {
            return type.getRawType();
        }

        @Override
        public Type getOwnerType() {
            return type.getOwnerType();
        }
    }
}
