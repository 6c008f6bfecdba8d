package orders;

import java.util.UUID;

/** The answer: the order as it was booked. */
public record Receipt(UUID id, String customer, long total, String greeting, int connections) {}
