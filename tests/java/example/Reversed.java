package example;

import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Type;

/** A function's own serializer: events are the reversed text. */
public class Reversed implements CustomPojoSerializer {
    @Override
    @SuppressWarnings("unchecked")
    public <T> T fromJson(String input, Type type) {
        return (T) new StringBuilder(input).reverse().toString();
    }

    @Override
    public <T> T fromJson(InputStream input, Type type) {
        try {
            return fromJson(new String(input.readAllBytes()), type);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    @Override
    public <T> void toJson(T value, OutputStream output, Type type) {
        try {
            output.write(('"' + type.getTypeName() + " " + value + '"').getBytes());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
