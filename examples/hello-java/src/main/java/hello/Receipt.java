package hello;

/** The answer: its getters become fields. */
public class Receipt {
    private final String greeting;
    private final int articles;
    private final long total;

    Receipt(String greeting, int articles, long total) {
        this.greeting = greeting;
        this.articles = articles;
        this.total = total;
    }

    public String getGreeting() {
        return greeting;
    }

    public int getArticles() {
        return articles;
    }

    public long getTotal() {
        return total;
    }
}
