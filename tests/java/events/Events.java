package events;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.events.APIGatewayV2HTTPEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayV2HTTPResponse;
import com.amazonaws.services.lambda.runtime.events.DynamodbEvent;
import com.amazonaws.services.lambda.runtime.events.S3Event;
import com.amazonaws.services.lambda.runtime.events.SNSEvent;
import com.amazonaws.services.lambda.runtime.events.SQSBatchResponse;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import com.amazonaws.services.lambda.runtime.events.ScheduledEvent;
import java.util.List;
import java.util.Map;

/** Handlers of AWS's own events. */
public class Events {
    public static class Queue implements RequestHandler<SQSEvent, SQSBatchResponse> {
        @Override
        public SQSBatchResponse handleRequest(SQSEvent event, Context context) {
            SQSEvent.SQSMessage message = event.getRecords().get(0);
            String seen = message.getBody() + " " + message.getEventSourceArn() + " "
                    + message.getMessageAttributes().get("a").getStringValue();
            return new SQSBatchResponse(List.of(new SQSBatchResponse.BatchItemFailure(seen)));
        }
    }

    public String object(S3Event event) {
        return event.getRecords().get(0).getEventTime().getYear() + " "
                + event.getRecords().get(0).getS3().getObject().getUrlDecodedKey();
    }

    public String topic(SNSEvent event) {
        return event.getRecords().get(0).getSNS().getMessage() + " "
                + event.getRecords().get(0).getSNS().getTimestamp().getYear();
    }

    public String schedule(ScheduledEvent event) {
        return event.getTime().getHourOfDay() + " " + event.getDetailType();
    }

    public String table(DynamodbEvent event) {
        return event.getRecords().get(0).getDynamodb().getNewImage().get("k").getN() + " "
                + event.getRecords().get(0).getDynamodb().getKeys().get("id").getS();
    }

    public APIGatewayV2HTTPResponse url(APIGatewayV2HTTPEvent event) {
        return APIGatewayV2HTTPResponse.builder()
                .withStatusCode(201)
                .withHeaders(Map.of("x", event.getRequestContext().getHttp().getMethod()))
                .withBody(event.getRawPath())
                .build();
    }
}
