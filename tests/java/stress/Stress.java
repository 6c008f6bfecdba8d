package stress;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/** Draws random numbers from generators of every kind, and does one kind of work in each event. */
public class Stress implements RequestHandler<Map<String, String>, Map<String, Object>> {
    private static final Random OWN = new Random();
    private static final Random SEEDED = new Random(7);
    private static final SecureRandom SECURE = new SecureRandom();
    private static final SplittableRandom SPLITTABLE = new SplittableRandom();
    private static final ExecutorService POOL = Executors.newFixedThreadPool(4, Stress::daemon);
    private static final ScheduledExecutorService TIMERS = Executors.newScheduledThreadPool(2, Stress::daemon);
    private static final Map<Integer, int[]> BIG = new ConcurrentHashMap<>();
    private static final AtomicLong TICKS = new AtomicLong();
    private static final AtomicLong TURNS = new AtomicLong();
    private static final List<String> WRONG = java.util.Collections.synchronizedList(new ArrayList<>());
    private static final long RIGHT;

    static {
        Math.random();
        SECURE.nextLong();
        UUID.randomUUID();
        ThreadLocalRandom.current().nextInt();
        for (int n = 0; n < 20_000; n++) {
            BIG.put(n, new int[] {n});
        }
        for (int n = 0; n < 300; n++) {
            hot(10_000);
        }
        RIGHT = hot(54_321);
        TIMERS.scheduleAtFixedRate(TICKS::incrementAndGet, 5, 5, TimeUnit.MILLISECONDS);
        if (System.getenv("BUSY") != null) {
            for (int n = 0; n < 4; n++) {
                daemon(Stress::turn).start();
            }
        }
    }

    private static void turn() {
        List<byte[]> kept = new ArrayList<>();
        for (;;) {
            if (hot(54_321) != RIGHT) {
                WRONG.add("hot");
            }
            synchronized (BIG) {
                kept.add(new byte[100_000]);
                if (kept.size() > 20) {
                    kept.clear();
                }
            }
            TURNS.incrementAndGet();
        }
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private static long hot(int times) {
        long sum = 0;
        for (int n = 0; n < times; n++) {
            sum = (sum + (long) n * n) % 1_000_003;
        }
        return sum;
    }

    private static Map<String, Object> draw() throws Exception {
        Map<String, Object> drawn = new TreeMap<>();
        drawn.put("own", OWN.nextLong());
        drawn.put("seeded", SEEDED.nextLong());
        drawn.put("gaussian", OWN.nextGaussian());
        drawn.put("new", new Random().nextLong());
        drawn.put("secure", SECURE.nextLong());
        drawn.put("new secure", new SecureRandom().nextLong());
        drawn.put("splittable", SPLITTABLE.nextLong());
        drawn.put("math", Math.random());
        drawn.put("uuid", UUID.randomUUID().toString());
        drawn.put("local", ThreadLocalRandom.current().nextLong());
        drawn.put("local of a thread", POOL.submit(() -> ThreadLocalRandom.current().nextLong()).get());
        drawn.put("temporary", Files.createTempFile("a", "b").toString());
        return drawn;
    }

    private static Object timers() throws Exception {
        long before = TICKS.get();
        String said = TIMERS.schedule(() -> "said", 10, TimeUnit.MILLISECONDS).get();
        // Fifty at a time have two processors: a tick may be late, and must come.
        for (int i = 0; i < 1_000 && TICKS.get() == before; i++) {
            Thread.sleep(10);
        }
        return List.of(said, TICKS.get() > before);
    }

    private static Object threads() throws Exception {
        List<Callable<Long>> tasks = new ArrayList<>();
        for (int n = 0; n < 50; n++) {
            long number = n;
            tasks.add(() -> number * number);
        }
        long sum = 0;
        for (Future<Long> done : POOL.invokeAll(tasks)) {
            sum += done.get();
        }
        return List.of(sum, IntStream.range(0, 1_000).parallel().sum());
    }

    private static Object files() throws IOException {
        byte[] text = new byte[1 << 20];
        Arrays.fill(text, (byte) 7);
        Path path = Path.of("/tmp/file");
        boolean there = Files.exists(path);
        Files.write(path, text);
        try (RandomAccessFile file = new RandomAccessFile("/tmp/file", "r")) {
            file.seek(1_000);
            return List.of(there, file.read(), Arrays.equals(Files.readAllBytes(path), text));
        }
    }

    private static Object network(String key) throws IOException {
        URL url = new URL(System.getenv("AWS_ENDPOINT_URL") + "/copies/" + key);
        HttpURLConnection put = connect(url);
        put.setRequestMethod("PUT");
        put.setDoOutput(true);
        put.getOutputStream().write(key.getBytes(StandardCharsets.UTF_8));
        int status = put.getResponseCode();
        try (InputStream got = connect(url).getInputStream()) {
            return List.of(status, new String(got.readAllBytes(), StandardCharsets.UTF_8).equals(key));
        }
    }

    private static HttpURLConnection connect(URL url) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        String at = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC).format(Instant.now());
        String scope = "Credential=test/" + at.substring(0, 8) + "/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        connection.setRequestProperty("x-amz-date", at);
        connection.setRequestProperty("Authorization", "AWS4-HMAC-SHA256 " + scope);
        return connection;
    }

    private static Object children() throws Exception {
        Process child = new ProcessBuilder("/bin/sh", "-c", "echo 42; exit 7").start();
        String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return List.of(said, child.waitFor());
    }

    private static Object garbage() {
        List<Object> kept = new ArrayList<>();
        for (int n = 0; n < 2_000; n++) {
            kept.add(new byte[20_000]);
            if (n % 100 == 0) {
                kept.clear();
            }
        }
        System.gc();
        return List.of(BIG.size(), BIG.get(19_999)[0], hot(54_321) == RIGHT);
    }

    private static Object busy() throws InterruptedException {
        long before = TURNS.get();
        for (int n = 0; n < 2_000 && TURNS.get() < before + 8; n++) {
            Thread.sleep(5);
        }
        return List.of(TURNS.get() >= before + 8, WRONG.size());
    }

    private static Object crash(String signal) throws Exception {
        String pid = String.valueOf(ProcessHandle.current().pid());
        pid = Path.of("/proc/self").toRealPath().getFileName().toString();
        new ProcessBuilder("/bin/sh", "-c", "kill -" + signal + " " + pid).start().waitFor();
        Thread.sleep(10_000);
        return "alive";
    }

    @Override
    public Map<String, Object> handleRequest(Map<String, String> event, Context context) {
        try {
            Map<String, Object> answer = new HashMap<>();
            answer.put("kind", System.getenv("AWS_LAMBDA_INITIALIZATION_TYPE"));
            answer.put("drawn", draw());
            answer.put("did", run(event));
            answer.put("id", context.getAwsRequestId());
            return answer;
        } catch (IllegalStateException error) {
            throw error;
        } catch (Exception error) {
            throw new IllegalArgumentException(error);
        }
    }

    private static Object run(Map<String, String> event) throws Exception {
        switch (event.get("do")) {
            case "timers":
                return timers();
            case "threads":
                return threads();
            case "files":
                return files();
            case "network":
                return network(event.get("key"));
            case "children":
                return children();
            case "garbage":
                return garbage();
            case "busy":
                return busy();
            case "crash":
                return crash("SEGV");
            case "kill":
                return crash("KILL");
            case "leave":
                Runtime.getRuntime().halt(3);
                return null;
            default:
                throw new IllegalStateException("as it should");
        }
    }
}
