package orders;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionTemplate;

/** The handler. When it has been made, the whole application stands, and has practised. */
public class Orders implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    private static final int REHEARSALS = 200;

    private final Desk desk;
    private final ObjectMapper json;

    public Orders() {
        AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext(Application.class);
        desk = context.getBean(Desk.class);
        json = context.getBean(ObjectMapper.class);
        TransactionTemplate rehearsal = new TransactionTemplate(context.getBean(PlatformTransactionManager.class));
        for (int i = 0; i < REHEARSALS; i++) {
            rehearsal.executeWithoutResult(this::rehearse);
        }
    }

    /** An order that is never booked: what it loads and compiles, the orders of events need not. */
    private void rehearse(TransactionStatus transaction) {
        transaction.setRollbackOnly();
        Map<String, Object> line = Map.of("article", "pencil", "quantity", 1);
        handleRequest(Map.of("customer", "nobody", "lines", List.of(line, line)), null);
    }

    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        Receipt receipt = desk.take(json.convertValue(event, Order.class));
        return json.convertValue(receipt, new TypeReference<>() {});
    }
}
