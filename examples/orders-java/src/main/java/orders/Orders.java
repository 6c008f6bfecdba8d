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
    /** The JVM compiles what has run 200 times: what is far from that number, it does not compile during an event. */
    private static final int REHEARSALS = 300;

    private static final String REHEARSAL = "{\"customer\": \"nobody\", \"lines\": ["
            + "{\"article\": \"pencil\", \"quantity\": 1}, {\"article\": \"pencil\", \"quantity\": 1}]}";

    private final Desk desk;
    private final ObjectMapper json;

    public Orders() throws IOException {
        AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext(Application.class);
        desk = context.getBean(Desk.class);
        json = context.getBean(ObjectMapper.class);
        // What these load and compile, the orders of events need not.
        for (int i = 0; i < REHEARSALS; i++) {
            handleRequest(json.readValue(REHEARSAL, new TypeReference<>() {}), null);
        }
        context.getBean(Booking.class).cancel("nobody");
    }

    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        Receipt receipt = desk.take(json.convertValue(event, Order.class));
        return json.convertValue(receipt, new TypeReference<>() {});
    }
}
