package mayfly.runtime;

import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ObjectWriter;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.serialization.PojoSerializer;
import com.amazonaws.services.lambda.runtime.serialization.events.LambdaEventSerializers;
import com.amazonaws.services.lambda.runtime.serialization.factories.JacksonFactory;
import java.io.ByteArrayInputStream;
import java.lang.reflect.Type;
import java.util.Iterator;
import java.util.ServiceLoader;

/**
 * JSON to and from objects of one type, as AWS's runtime does it: by the serializer that the function brings, or by
 * Jackson.
 */
abstract class Serializer {
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};

    abstract Object read(ByteArrayInputStream from);

    abstract void write(Object value, Answer to);

    /**
     * Does what needs no code of the function, so that it is loaded; whether Jackson takes part when the function
     * answers, or when its event is read.
     */
    abstract boolean rehearse(boolean answers);

    private static CustomPojoSerializer own;
    private static boolean looked;

    static Serializer of(Type type) {
        if (!looked) {
            own = find();
            looked = true;
        }
        if (own != null) {
            return new OfFunction(own, type);
        }
        Serializer plain = Plain.of(type);
        return plain == null ? jackson(type) : plain;
    }

    /** Whether the function brings its own. */
    static boolean isOfFunction() {
        return own != null;
    }

    /** AWS's serializer for a type, which is Jackson's with AWS's settings. */
    static Serializer jackson(Type type) {
        return new OfAws(type);
    }

    /** AWS's serializers: adapted to AWS's classes of events, plain Jackson for others. */
    private static final class OfAws extends Serializer {
        private final PojoSerializer<Object> serializer;
        private final Type type;

        OfAws(Type type) {
            this.type = type;
            serializer = isEvent(type) ? ofEvent((Class<?>) type) : JacksonFactory.getInstance().getSerializer(type);
        }

        private static boolean isEvent(Type type) {
            return type instanceof Class
                    && ((Class<?>) type).getName().startsWith("com.amazonaws.services.")
                    && LambdaEventSerializers.isLambdaSupportedEvent(((Class<?>) type).getName());
        }

        @SuppressWarnings("unchecked")
        private static PojoSerializer<Object> ofEvent(Class<?> type) {
            return (PojoSerializer<Object>) LambdaEventSerializers.serializerFor(type, type.getClassLoader());
        }

        @Override
        Object read(ByteArrayInputStream from) {
            return serializer.fromJson(from);
        }

        @Override
        void write(Object value, Answer to) {
            serializer.toJson(value, to);
        }

        @Override
        boolean rehearse(boolean answers) {
            read(new ByteArrayInputStream(NULL));
            write(null, new Answer());
            Object writer = answers ? Fields.inherited(serializer, "writer") : null;
            if (writer instanceof ObjectWriter) {
                Answers.learn((ObjectWriter) writer, type);
            }
            return true;
        }
    }

    /** A serializer that the function brings along. */
    private static final class OfFunction extends Serializer {
        private final CustomPojoSerializer serializer;
        private final Type type;

        OfFunction(CustomPojoSerializer serializer, Type type) {
            this.serializer = serializer;
            this.type = type;
        }

        @Override
        Object read(ByteArrayInputStream from) {
            return serializer.fromJson(from, type);
        }

        @Override
        void write(Object value, Answer to) {
            serializer.toJson(value, to, type);
        }

        @Override
        boolean rehearse(boolean answers) {
            return false;
        }
    }

    /** The serializer that the function brings along; null if there is none. */
    private static CustomPojoSerializer find() {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        if (loader.getResource("META-INF/services/" + CustomPojoSerializer.class.getName()) == null) {
            return null; // without asking the machinery of services, which is slow to load
        }
        Iterator<CustomPojoSerializer> found = ServiceLoader.load(CustomPojoSerializer.class, loader).iterator();
        CustomPojoSerializer first = found.next();
        if (found.hasNext()) {
            throw new IllegalStateException(
                    "Too many serializers provided inside the META-INF/services folder, only one is allowed");
        }
        return first;
    }
}
