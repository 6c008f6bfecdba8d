package mayfly.runtime;

import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.JavaType;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.JsonMappingException;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ObjectWriter;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.SerializerProvider;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ser.DefaultSerializerProvider;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ser.PropertyWriter;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ser.SerializerFactory;
import java.lang.reflect.Type;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Set;

/**
 * Has Jackson find out how answers are written before there is one.
 *
 * <p>With AWS's settings Jackson does so at the first answer, which takes some 5 ms, and a process that lives for one
 * event would spend them each time. What is found stays with the mapper. No method of the function is called for it.
 */
final class Answers {
    /** How many types are looked at, with those that an answer is made of. */
    private static final int MOST = 200;

    private Answers() {}

    /** Looks at a type, and at all that its properties are declared to be. */
    static void learn(ObjectWriter writer, Type type) {
        SerializerProvider provider = provider(writer);
        ArrayDeque<JavaType> open = new ArrayDeque<>();
        Set<JavaType> seen = new HashSet<>();
        open.add(writer.getTypeFactory().constructType(type));
        while (!open.isEmpty() && seen.size() < MOST) {
            JavaType next = open.remove();
            if (next.isJavaLangObject() || !seen.add(next)) {
                continue;
            }
            if (next.getContentType() != null) {
                open.add(next.getContentType());
            }
            try {
                Iterator<PropertyWriter> properties = provider.findValueSerializer(next.getRawClass()).properties();
                properties.forEachRemaining(property -> open.add(property.getType()));
            } catch (JsonMappingException unwritable) {
                // The answer will say so, too.
            }
        }
    }

    /** What finds serializers for this writer, and keeps them for all writers of its mapper. */
    private static SerializerProvider provider(ObjectWriter writer) {
        DefaultSerializerProvider blueprint = (DefaultSerializerProvider) Fields.read(writer, "_serializerProvider");
        SerializerFactory factory = (SerializerFactory) Fields.read(writer, "_serializerFactory");
        return blueprint.createInstance(writer.getConfig(), factory);
    }
}
