package orders;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Map;

/** The same without a platform: answers the one event on its standard input. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        ObjectMapper json = new ObjectMapper();
        Map<String, Object> event = json.readValue(System.in, new TypeReference<>() {});
        System.out.println(json.writeValueAsString(new Orders().handleRequest(event, null)));
        System.exit(0);
    }
}
