package hello;

import java.util.List;

/** The event: what somebody wants to buy. */
public class Basket {
    public String customer;
    public List<Line> lines = List.of();

    /** So many of one thing. */
    public static class Line {
        public String article;
        public int quantity;
        /** In cents: money is no fraction. */
        public long price;
    }
}
