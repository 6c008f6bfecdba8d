package example;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.apache.logging.log4j.ThreadContext;

/** Handlers of every kind, one test each. */
public class Functions {
    // Types

    public static class Order {
        public String id;
        public int count;
        public Double price;
        public List<Item> items;
        public Map<String, Integer> stock;
        public Date when;
        public Color color;
    }

    /** An interface has its own places where strings are put together. */
    public interface Named {
        default String name(int number) {
            return "n" + number + this;
        }
    }

    /** Strings of all that can be put together, and whether the runtime has rewritten the places. */
    public List<String> together(Object event) {
        byte b = -1;
        short s = -2;
        char c = 'ü';
        float f = 1.5f;
        double d = 1e100;
        boolean t = true;
        long l = Long.MIN_VALUE;
        char[] chars = {'a'};
        Object nothing = null;
        Object nameless = new Object() {
            @Override
            public String toString() {
                return null;
            }
        };
        Named named = new Named() {
            @Override
            public String toString() {
                return "!";
            }
        };
        StringBuilder builder = new StringBuilder("sb");
        String grown = "a";
        grown += 1;
        grown += 'b';
        boolean rewritten = java.util.Arrays.stream(Functions.class.getDeclaredMethods())
                .anyMatch(method -> method.isSynthetic() && method.getName().startsWith("mayfly$concat$"));
        return List.of(
                b + " " + s + c + f + "|" + d + t + l, "" + nothing + nameless, ("" + chars).startsWith("[C@") + "",
                "\1" + s + "\2", grown, named.name(3), builder + "x" + Integer.valueOf(5) + c, rewritten + "",
                Functions.class.getProtectionDomain().getCodeSource().getLocation() + "",
                Functions.class.getPackage().getName());
    }

    /** Lambdas of every kind. */
    public List<String> lambdas(Object event) throws Exception {
        List<String> found = new ArrayList<>();
        long l = 1L << 40;
        double d = 0.5;
        byte b = 3;
        java.util.function.Supplier<String> captures = () -> l + " " + d + " " + b + " " + (this == null);
        found.add(captures.get());
        java.util.function.IntFunction<int[]> array = int[]::new;
        found.add(array.apply(7).length + "");
        java.util.function.Function<Integer, Item> constructor = number -> new Item();
        found.add((constructor.apply(1).getName() == null) + "");
        Item missing = null;
        try {
            java.util.function.Supplier<String> bound = missing::getName;
            found.add(bound.get());
        } catch (NullPointerException expected) {
            found.add("null");
        }
        Runnable serializable = (Runnable & java.io.Serializable) () -> found.add("ran");
        serializable.run();
        found.add((serializable instanceof java.io.Serializable) + "");
        Named own = new Named() {};
        java.util.function.UnaryOperator<String> twice = text -> text + text;
        found.add(twice.andThen(text -> own.name(2).startsWith("n2") ? text : "no").apply("ab"));
        Runnable same = null;
        for (int i = 0; i < 2; i++) {
            Runnable nothing = () -> {};
            found.add((nothing == same) + "");
            same = nothing;
        }
        return found;
    }

    public static class Item {
        private String name;

        public String getName() {
            return name;
        }

        public void setName(String name) {
            this.name = name;
        }
    }

    public enum Color { RED, GREEN }

    public static class Receipt {
        public String id;
        public int total;
        public String absent;
        public Date when;
        public Instant instant = Instant.ofEpochSecond(1);
        public Optional<String> perhaps = Optional.of("yes");
        public List<String> names = new ArrayList<>();
    }

    public static class Objects implements RequestHandler<Order, Receipt> {
        @Override
        public Receipt handleRequest(Order order, Context context) {
            Receipt receipt = new Receipt();
            receipt.id = order.id + " " + order.color;
            receipt.total = order.count + order.stock.get("a");
            receipt.when = order.when;
            for (Item item : order.items) {
                receipt.names.add(item.getName());
            }
            return receipt;
        }
    }

    public abstract static class First<T> implements RequestHandler<List<T>, T> {
        @Override
        public T handleRequest(List<T> events, Context context) {
            return events.get(0);
        }
    }

    public static class FirstItem extends First<Item> {
        @Override
        public Item handleRequest(List<Item> events, Context context) {
            Item item = super.handleRequest(events, context);
            item.setName(item.getName() + "!");
            return item;
        }
    }

    public static class Streams implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream event, OutputStream answer, Context context) throws IOException {
            answer.write("<p>".getBytes());
            event.transferTo(answer);
        }
    }

    public Object same(Object event) {
        return event;
    }

    public String text(String event) {
        return "<" + event + ">";
    }

    public int length(String event) {
        return event.length();
    }

    public static long sum(List<Integer> event) {
        long sum = 0;
        for (int number : event) {
            sum += number;
        }
        return sum;
    }

    public Map<String, Object> map(Map<String, Object> event) {
        Map<String, Object> types = new TreeMap<>();
        for (Map.Entry<String, Object> entry : event.entrySet()) {
            types.put(entry.getKey(), entry.getValue() == null ? null : entry.getValue().getClass().getSimpleName());
        }
        return types;
    }

    public Map<String, Object> plain(Map<String, String> event) {
        Map<String, Object> answer = new LinkedHashMap<>(event);
        answer.put("list", List.of(1, 2.5, "x\u0001\"\\\u00e9\ud83d\ude00", true, new int[] {1}));
        answer.put("none", null);
        answer.put("big", new java.math.BigDecimal("1.10"));
        return answer;
    }

    public boolean truth(boolean event) {
        return !event;
    }

    public void nothing() {
        System.out.println("called");
    }

    public String alone(Context context) {
        return context.getFunctionName();
    }

    public void writes(OutputStream answer) throws IOException {
        answer.write("42".getBytes());
    }

    public String reads(InputStream event) {
        return "ignored";
    }

    public String chosen(String event) {
        return "short";
    }

    public String chosen(String event, Context context) {
        return "with context";
    }

    public String chosen(String event, String other) {
        return "impossible";
    }

    public String chosen(String event, Context context, String third) {
        return "impossible";
    }

    // The context

    public Map<String, Object> context(Object event, Context context) {
        Map<String, Object> seen = new HashMap<>();
        seen.put("id", context.getAwsRequestId());
        seen.put("name", context.getFunctionName());
        seen.put("version", context.getFunctionVersion());
        seen.put("arn", context.getInvokedFunctionArn());
        seen.put("group", context.getLogGroupName());
        seen.put("stream", context.getLogStreamName());
        seen.put("memory", context.getMemoryLimitInMB());
        seen.put("left", context.getRemainingTimeInMillis());
        seen.put("identity", context.getIdentity() == null ? "nobody" : "somebody");
        seen.put("trace", context.getXrayTraceId());
        seen.put("property", System.getProperty("com.amazonaws.xray.traceHeader"));
        ClientContext client = context.getClientContext();
        if (client != null) {
            seen.put("title", client.getClient().getAppTitle());
            seen.put("custom", client.getCustom());
            seen.put("environment", client.getEnvironment());
        }
        return seen;
    }

    // The log

    public void log(Object event, Context context) {
        LambdaLogger log = context.getLogger();
        log.log("plain\nof two lines\n");
        log.log("for details", LogLevel.DEBUG);
        log.log("for alarms", LogLevel.ERROR);
        log.log("bytes".getBytes());
        LambdaRuntime.getLogger().log("the same");
        System.out.println("raw é");
        System.err.println("raw too");
    }

    public static class Log4j implements RequestHandler<Object, Boolean> {
        public Log4j() {
            LambdaRuntimeInternal.setUseLog4jAppender(true); // as AWS's appender does
        }

        @Override
        public Boolean handleRequest(Object event, Context context) {
            return context.getAwsRequestId().equals(ThreadContext.VALUES.get("AWSRequestId"));
        }
    }

    // Errors

    public static class Refused extends Exception {
        private static final long serialVersionUID = 1;

        public Refused(String message, Throwable cause) {
            super(message, cause);
        }
    }

    public void refuse(Object event) throws Refused {
        try {
            throw new IllegalArgumentException("inner");
        } catch (IllegalArgumentException error) {
            throw new Refused("outer\nline", error);
        }
    }

    public static class Refuses implements RequestHandler<Object, Object> {
        @Override
        public Object handleRequest(Object event, Context context) {
            throw new NullPointerException();
        }
    }

    public Object unwritable(Object event) {
        Map<String, Object> loop = new HashMap<>();
        loop.put("self", new Object() {
            public Object getBroken() {
                throw new IllegalStateException("broken");
            }
        });
        return loop;
    }

    public Object deep(Object event) {
        return deep(event) == null ? event : deep(event);
    }

    public Object hoard(Object event) {
        List<byte[]> hoard = new ArrayList<>();
        while (true) {
            hoard.add(new byte[1 << 20]);
        }
    }

    public void exit(Integer status) {
        System.out.println("going");
        System.exit(status);
    }

    public static class Cruel extends RuntimeException {
        private static final long serialVersionUID = 1;

        @Override
        public String getMessage() {
            throw new IllegalStateException("no message");
        }
    }

    public void cruel() {
        throw new Cruel();
    }

    public String longest(Integer length) {
        throw new RuntimeException("x".repeat(length));
    }

    public String elsewhere() throws InterruptedException {
        Thread thread = new Thread(() -> {
            throw new IllegalStateException("in a thread");
        });
        thread.start();
        thread.join();
        new Thread(() -> {
            while (true) {
                Thread.onSpinWait();
            }
        }).start();
        return "answered";
    }

    public static class Unloadable {
        static final int VALUE = Integer.parseInt("none");

        public void handle() {}
    }

    public static class Unmakeable {
        public Unmakeable() {
            throw new IllegalStateException("not today");
        }

        public void handle() {}
    }

    public class Inner {
        public void handle() {}
    }

    public static class Raw implements RequestHandler<Object, Object> {
        public Raw(String argument) {}

        @Override
        public Object handleRequest(Object event, Context context) {
            return event;
        }
    }

    // The surroundings

    public Map<String, Object> surroundings(Object event) throws Exception {
        Map<String, Object> seen = new HashMap<>();
        seen.put("version", System.getProperty("java.version"));
        seen.put("loader", Thread.currentThread().getContextClassLoader() == Functions.class.getClassLoader());
        try (InputStream resource = Thread.currentThread().getContextClassLoader().getResourceAsStream("words.txt")) {
            seen.put("resource", new String(resource.readAllBytes()));
        }
        seen.put("core", Context.class.getClassLoader() == ClassLoader.getSystemClassLoader());
        seen.put("files", List.of(new File("/var/task/names").list()));
        seen.put("read", Files.readString(Path.of("/var/task/names/é")));
        seen.put("zone", java.util.TimeZone.getDefault().getRawOffset());
        seen.put("language", Locale.getDefault().getLanguage());
        seen.put("directory", System.getProperty("user.dir"));
        seen.put("heap", Runtime.getRuntime().maxMemory() >> 20);
        seen.put("tmp", Files.writeString(Files.createTempFile("a", "b"), "x").toString());
        seen.put("hidden", System.getenv("_MAYFLY_REQUEST_ID"));
        return seen;
    }

    public List<String> collectors() {
        List<String> names = new ArrayList<>();
        java.lang.management.ManagementFactory.getGarbageCollectorMXBeans().forEach(bean -> names.add(bean.getName()));
        return names;
    }

    public int threads() throws Exception {
        AtomicInteger count = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            threads.add(new Thread(count::incrementAndGet));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
        return count.get();
    }

    public String child() throws Exception {
        Process child = new ProcessBuilder("sh", "-c", "ls -l /proc/self/fd").start();
        String seen = new String(child.getInputStream().readAllBytes());
        return child.waitFor() + " " + seen;
    }

    public String http(String path) throws Exception {
        URI endpoint = URI.create(System.getenv("AWS_ENDPOINT_URL")).resolve(path);
        HttpResponse<String> response = HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(endpoint).build(), HttpResponse.BodyHandlers.ofString());
        return response.statusCode() + " " + response.body();
    }

    public int authorities() throws Exception {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((java.security.KeyStore) null);
        return ((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers().length;
    }
}
