package orders;

import com.zaxxer.hikari.HikariDataSource;
import jakarta.validation.ConstraintViolation;
import jakarta.validation.Validator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.stream.Collectors;
import org.springframework.stereotype.Component;

/** Takes an order from its arrival to its receipt. */
@Component
class Desk {
    private final Validator validator;
    private final Catalogue catalogue;
    private final Booking booking;
    private final Executor workers;
    private final HikariDataSource pool;

    Desk(Validator validator, Catalogue catalogue, Booking booking, Executor workers, HikariDataSource pool) {
        this.validator = validator;
        this.catalogue = catalogue;
        this.booking = booking;
        this.workers = workers;
        this.pool = pool;
    }

    Receipt take(Order order) {
        String wrong = validator.validate(order).stream().map(Desk::words).sorted().collect(Collectors.joining("; "));
        if (!wrong.isEmpty()) {
            throw new IllegalArgumentException(wrong);
        }
        // Each line is priced by another thread, over another connection.
        List<CompletableFuture<Long>> prices = order.lines().stream()
                .map(line -> CompletableFuture.supplyAsync(
                        () -> line.quantity() * catalogue.price(line.article()), workers))
                .toList();
        long total = prices.stream().mapToLong(Desk::result).sum();
        UUID id = booking.book(order, total);
        int before = booking.history(order.customer()).size() - 1;
        String greeting = before == 0 ? "Welcome, " : "Thank you again, ";
        int connections = pool.getHikariPoolMXBean().getTotalConnections();
        return new Receipt(id, order.customer(), total, greeting + order.customer() + "!", connections);
    }

    private static String words(ConstraintViolation<Order> violation) {
        return violation.getPropertyPath() + " " + violation.getMessage();
    }

    private static long result(CompletableFuture<Long> price) {
        try {
            return price.join();
        } catch (CompletionException error) {
            throw error.getCause() instanceof RuntimeException cause ? cause : error;
        }
    }
}
