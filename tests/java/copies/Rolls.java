package copies;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

/** Does what the event says. */
public class Rolls implements RequestHandler<String, Map<String, Object>> {
    private final Dice dice = new Dice();

    public Rolls() throws Exception {}

    @Override
    public Map<String, Object> handleRequest(String event, Context context) {
        try {
            if (event.equals("roll")) {
                return dice.roll();
            }
            dice.force();
            return Map.of();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
