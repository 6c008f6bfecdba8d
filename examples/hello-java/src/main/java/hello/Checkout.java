package hello;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;

/** Adds up a basket. */
public class Checkout implements RequestHandler<Basket, Receipt> {
    @Override
    public Receipt handleRequest(Basket basket, Context context) {
        int articles = 0;
        long total = 0;
        for (Basket.Line line : basket.lines) {
            if (line.quantity < 1) {
                throw new IllegalArgumentException("nobody can buy " + line.quantity + " of " + line.article);
            }
            articles += line.quantity;
            total += line.quantity * line.price;
        }
        context.getLogger().log(basket.customer + " buys for " + total, LogLevel.INFO);
        return new Receipt("Thank you, " + basket.customer + "!", articles, total);
    }
}
