package copies;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/** Holds generators of random numbers wherever a function may hold them, and can give all of them the same state. */
public class Dice {
    private static final Random STATIC = new Random();
    private static final SplittableRandom SPLITTABLE = new SplittableRandom();
    private static final ExecutorService OTHER = Executors.newSingleThreadExecutor();
    private static final ThreadLocal<Random> LOCAL = ThreadLocal.withInitial(Random::new);
    private static final SecureRandom SHA1 = secure("SHA1PRNG");
    private static final SecureRandom DRBG = secure("DRBG");
    private static final SecureRandom SYSTEM = secure("NativePRNG");

    private final Map<String, List<Supplier<Random>>> deep = new HashMap<>();
    private final Object[] modern = new Object[1];
    private final Loaded loaded = new Loaded();

    public Dice() throws Exception {
        Random captured = new Loaded();
        deep.put("deep", Arrays.asList(() -> captured));
        Math.random();
        Constants.CONSTANT.nextInt();
        Collections.shuffle(new ArrayList<>(List.of(1, 2)));
        other(LOCAL::get);
        other(ThreadLocalRandom::current);
        if (isModern()) {
            modern[0] = modern("of", "L64X128MixRandom");
        }
    }

    /** A generator of the function's own kind. */
    static class Loaded extends Random {
        private static final long serialVersionUID = 1;
    }

    /** A class that no object was made of. */
    interface Constants {
        Random CONSTANT = new Random();
    }

    private static SecureRandom secure(String algorithm) {
        try {
            SecureRandom random = SecureRandom.getInstance(algorithm);
            random.nextInt();
            return random;
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static <T> T other(Callable<T> what) throws Exception {
        return OTHER.submit(what).get();
    }

    private static boolean isModern() {
        return Runtime.version().feature() >= 17;
    }

    private static Object modern(String method, Object... arguments) throws Exception {
        Class<?> type = Class.forName("java.util.random.RandomGenerator");
        return type.getMethod(method, String.class).invoke(null, arguments);
    }

    /** All generators with a seed. */
    private List<Random> seeded() throws Exception {
        return List.of(STATIC, Constants.CONSTANT, loaded, deep.get("deep").get(0).get(), other(LOCAL::get),
                (Random) of("java.lang.Math$RandomNumberGeneratorHolder", "randomNumberGenerator", null),
                (Random) of("java.util.Collections", "r", null));
    }

    /** Gives all generators the same state in each process. */
    public void force() throws Exception {
        for (Random random : seeded()) {
            random.setSeed(7);
            random.nextGaussian();
        }
        field(SplittableRandom.class, "seed").setLong(SPLITTABLE, 7);
        field(SplittableRandom.class, "gamma").setLong(SPLITTABLE, 7);
        for (Thread thread : new Thread[] {Thread.currentThread(), other(Thread::currentThread)}) {
            field(Thread.class, "threadLocalRandomSeed").setLong(thread, 7);
        }
        for (String type : new String[] {"java.util.SplittableRandom.defaultGen",
                "java.util.concurrent.ThreadLocalRandom.seeder", "java.util.Random.seedUniquifier"}) {
            int dot = type.lastIndexOf('.');
            ((AtomicLong) of(type.substring(0, dot), type.substring(dot + 1), null)).set(7);
        }
        force(of("java.security.SecureRandom", "secureRandomSpi", SHA1));
        force(of("sun.security.provider.SecureRandom$SeederHolder", "seeder", null));
        Object system = of("sun.security.provider.NativePRNG", "INSTANCE", null);
        force(of(system.getClass().getName(), "mixRandom", system));
        Arrays.fill((byte[]) of(system.getClass().getName(), "nextBuffer", system), (byte) 7);
        field(system.getClass(), "buffered").setInt(system, 200);
        field(system.getClass(), "lastRead").setLong(system, System.currentTimeMillis() + 60_000);
        if (isModern()) {
            for (String name : new String[] {"x0", "x1", "s", "a"}) {
                field(modern[0].getClass(), name).setLong(modern[0], 7);
            }
            ((AtomicLong) of(modern[0].getClass().getName(), "defaultGen", null)).set(7);
        }
    }

    private static void force(Object sha1) throws Exception {
        Arrays.fill((byte[]) of(sha1.getClass().getName(), "state", sha1), (byte) 7);
        field(sha1.getClass(), "remCount").setInt(sha1, 0);
    }

    private static Object of(String type, String name, Object object) throws Exception {
        return field(Class.forName(type), name).get(object);
    }

    private static Field field(Class<?> type, String name) throws Exception {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    /** What each of them gives next. */
    public Map<String, Object> roll() throws Exception {
        Map<String, Object> rolled = new TreeMap<>();
        rolled.put("static", STATIC.nextLong());
        rolled.put("gaussian", Constants.CONSTANT.nextGaussian());
        rolled.put("field", loaded.nextLong());
        rolled.put("captured", deep.get("deep").get(0).get().nextLong());
        rolled.put("local of another thread", other(() -> LOCAL.get().nextLong()));
        rolled.put("Math", Math.random());
        List<Integer> list = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            list.add(i);
        }
        Collections.shuffle(list);
        rolled.put("shuffle", list.toString());
        rolled.put("splittable", SPLITTABLE.nextLong());
        rolled.put("splittable made now", new SplittableRandom().nextLong());
        rolled.put("thread", ThreadLocalRandom.current().nextLong());
        rolled.put("another thread", other(() -> ThreadLocalRandom.current().nextLong()));
        long[] fresh = new long[1];
        Thread thread = new Thread(() -> fresh[0] = ThreadLocalRandom.current().nextLong());
        thread.start();
        thread.join();
        rolled.put("thread made now", fresh[0]);
        rolled.put("SHA1PRNG", SHA1.nextLong());
        rolled.put("SHA1PRNG made now", SecureRandom.getInstance("SHA1PRNG").nextLong());
        rolled.put("NativePRNG", SYSTEM.nextLong());
        rolled.put("UUID", UUID.randomUUID().toString());
        if (isModern()) {
            Method next = Class.forName("java.util.random.RandomGenerator").getMethod("nextLong");
            rolled.put("modern", next.invoke(modern[0]));
            rolled.put("modern made now", next.invoke(modern("of", "L64X128MixRandom")));
        }
        return rolled;
    }

    /** What cannot be forced, but is to work nevertheless. */
    public long drbg() {
        return DRBG.nextLong();
    }

    /** What the process knows of its environment, and what it gives to others. */
    public List<String> environment(String name) {
        String given = new ProcessBuilder("true").environment().get(name);
        return Arrays.asList(System.getenv(name), System.getenv().get(name), given);
    }
}
