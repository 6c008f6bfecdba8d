package orders;

import java.util.NoSuchElementException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Repository;

/** The articles, their prices and what is left of them. */
@Repository
class Catalogue {
    private final JdbcTemplate database;

    Catalogue(JdbcTemplate database) {
        this.database = database;
    }

    /** The price of one, in cents. */
    long price(String article) {
        return database.queryForList("SELECT price FROM articles WHERE name = ?", Long.class, article).stream()
                .findFirst()
                .orElseThrow(() -> new NoSuchElementException("there is no " + article));
    }

    /** Takes some from the stock. */
    void take(String article, int quantity) {
        int taken = database.update(
                "UPDATE articles SET stock = stock - ? WHERE name = ? AND stock >= ?", quantity, article, quantity);
        if (taken == 0) {
            throw new IllegalStateException("there are not " + quantity + " of " + article + " left");
        }
    }
}
