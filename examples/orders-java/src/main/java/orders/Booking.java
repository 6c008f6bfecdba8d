package orders;

import java.util.List;
import java.util.UUID;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;

/** Books orders: all of one, or nothing. */
@Service
class Booking {
    private final JdbcTemplate database;
    private final Catalogue catalogue;

    Booking(JdbcTemplate database, Catalogue catalogue) {
        this.database = database;
        this.catalogue = catalogue;
    }

    /** The id of the booked order. */
    @Transactional
    public UUID book(Order order, long total) {
        UUID id = UUID.randomUUID();
        database.update("INSERT INTO orders VALUES (?, ?, ?)", id, order.customer(), total);
        for (Order.Line line : order.lines()) {
            catalogue.take(line.article(), line.quantity());
            database.update("INSERT INTO lines VALUES (?, ?, ?)", id, line.article(), line.quantity());
        }
        return id;
    }

    /** Cancels all that somebody has ordered. */
    @Transactional
    public void cancel(String customer) {
        String ids = "(SELECT id FROM orders WHERE customer = ?)";
        database.update("UPDATE articles SET stock = stock + (SELECT COALESCE(SUM(quantity), 0) FROM lines"
                + " WHERE article = name AND order_id IN " + ids + ")", customer);
        database.update("DELETE FROM lines WHERE order_id IN " + ids, customer);
        database.update("DELETE FROM orders WHERE customer = ?", customer);
    }

    /** How many orders somebody has placed, and what they cost. */
    @Transactional(readOnly = true)
    public List<Long> history(String customer) {
        return database.queryForList("SELECT total FROM orders WHERE customer = ?", Long.class, customer);
    }
}
