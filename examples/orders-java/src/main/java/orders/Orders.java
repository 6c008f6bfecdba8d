package orders;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Map;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** The handler. When it has been made, the whole application stands, and has practised. */
public class Orders implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    /**
     * The JVM compiles what has run 200 times, when it comes to it; and links a call in compiled code when it first gets
     * there. After so many orders most of that has happened.
     */
    private static final int REHEARSALS = 2_000;

    /** So many orders there is stock for. */
    private static final int AT_ONCE = 250;

    private static final String REHEARSAL = "{\"customer\": \"nobody\", \"lines\": ["
            + "{\"article\": \"pencil\", \"quantity\": 1}, {\"article\": \"pencil\", \"quantity\": 1}]}";

    private final Desk desk;
    private final ObjectMapper json;

    public Orders() throws IOException {
        AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext(Application.class);
        desk = context.getBean(Desk.class);
        json = context.getBean(ObjectMapper.class);
        // What these load and compile, the orders of events need not.
        for (int i = 1; i <= REHEARSALS; i++) {
            handleRequest(json.readValue(REHEARSAL, new TypeReference<>() {}), null);
            if (i % AT_ONCE == 0) {
                context.getBean(Booking.class).cancel("nobody");
            }
        }
    }

    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        Receipt receipt = desk.take(json.convertValue(event, Order.class));
        return json.convertValue(receipt, new TypeReference<>() {});
    }
}
