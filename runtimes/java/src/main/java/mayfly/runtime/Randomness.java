package mayfly.runtime;

import java.io.FileInputStream;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * All random state of a process: what the JDK keeps for itself, and the generators that the function has made. Found
 * before the process is copied, and made anew in each copy.
 */
final class Randomness {
    /** Where the JDK keeps generators: class and static field. A JDK has those of its version. */
    private static final String[][] GENERATORS = {
        {"java.lang.Math$RandomNumberGeneratorHolder", "randomNumberGenerator"},
        {"java.lang.StrictMath$RandomNumberGeneratorHolder", "randomNumberGenerator"},
        {"java.util.Collections", "r"},
        {"java.util.UUID$Holder", "numberGenerator"},
        {"java.io.File$TempDirectory", "random"},
        {"java.nio.file.TempFileHelper", "random"},
        {"sun.security.jca.JCAUtil$CachedSecureRandomHolder", "instance"},
        {"sun.security.jca.JCAUtil", "def"},
        {"javax.crypto.JceSecurity", "RANDOM"},
        {"javax.net.ssl.SSLContext", "defaultContext"},
    };

    /** Where it keeps what the next generator without a seed begins with. */
    private static final String[][] SEEDS = {
        {"java.util.Random", "seedUniquifier"},
        {"java.util.SplittableRandom", "defaultGen"},
        {"java.util.concurrent.ThreadLocalRandom", "seeder"},
    };

    /** The generators of Java 17 and later, and where these lie. */
    private static final String[] NAMES = {
        "L32X64MixRandom", "L64X128MixRandom", "L64X128StarStarRandom", "L64X256MixRandom", "L64X1024MixRandom",
        "L128X128MixRandom", "L128X256MixRandom", "L128X1024MixRandom", "Xoroshiro128PlusPlus", "Xoshiro256PlusPlus",
    };
    private static final String[] PACKAGES = {"jdk.random.", "jdk.internal.random."};

    /** Where it keeps bytes of the system's generator for up to 100 ms. */
    private static final String[] BUFFERED = {
        "sun.security.provider.NativePRNG", "sun.security.provider.NativePRNG$Blocking",
        "sun.security.provider.NativePRNG$NonBlocking",
    };

    private static final String SYSTEM = "/dev/urandom";

    private final Field threadSeed = Fields.find(Thread.class, "threadLocalRandomSeed");
    private final Field threadSecondary = Fields.find(Thread.class, "threadLocalRandomSecondarySeed");
    private final List<WeakReference<Object>> generators = new ArrayList<>();
    private final List<AtomicLong> seeds = new ArrayList<>();
    private final List<Object> buffers = new ArrayList<>();
    private final boolean complete;

    private ByteBuffer fresh = ByteBuffer.allocate(0);

    /** Finds the state of the JDK, and that of the function with this handler and these classes. */
    Randomness(Object handler, List<Class<?>> classes) throws ClassNotFoundException {
        initialise();
        List<Thread> threads = threads();
        Search search = new Search(isInitialising(threads));
        search.begin(handler);
        for (Thread thread : threads) {
            search.begin(thread);
        }
        for (Class<?> type : classes) {
            search.begin(type);
        }
        for (String[] place : GENERATORS) {
            search.begin(Fields.read(place[0], place[1]));
        }
        complete = search.run();
        for (Object generator : search.found()) {
            generators.add(new WeakReference<>(generator));
        }
        for (String[] place : SEEDS) {
            addSeed(Fields.read(place[0], place[1]));
        }
        for (String name : NAMES) {
            for (String place : PACKAGES) {
                addSeed(Fields.read(place + name, "defaultGen"));
            }
        }
        for (String name : BUFFERED) {
            Object instance = Fields.read(name, "INSTANCE");
            if (instance != null) {
                buffers.add(instance);
            }
        }
    }

    /**
     * Has those classes begin that take their first seed from the clock: what they have taken can be replaced, and
     * copies that begin at the same time are not to begin with the same.
     */
    private static void initialise() throws ClassNotFoundException {
        new Random();
        new SplittableRandom();
        ThreadLocalRandom.current();
        for (String name : NAMES) {
            for (String place : PACKAGES) {
                Class<?> type = Fields.type(place + name);
                if (type != null) {
                    Class.forName(type.getName(), true, type.getClassLoader());
                }
            }
        }
    }

    /** Whether a thread is about to initialise a class: it may have made generators that nothing else refers to. */
    private static boolean isInitialising(List<Thread> threads) {
        for (Thread thread : threads) {
            for (StackTraceElement frame : thread.getStackTrace()) {
                if (frame.getMethodName().equals("<clinit>")) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Whether the whole function was searched. */
    boolean isComplete() {
        return complete;
    }

    private void addSeed(Object seed) {
        if (seed instanceof AtomicLong) {
            seeds.add((AtomicLong) seed);
        }
    }

    /** Whether objects of a class are generators of Java 17's. */
    static boolean isOfJdk(Class<?> type) {
        String name = type.getName();
        for (String place : PACKAGES) {
            if (name.startsWith(place)) {
                return true;
            }
        }
        return false;
    }

    /** Forgets bytes that were drawn from the system and not used. */
    void discard() {
        for (Object buffer : buffers) {
            Object lock = Fields.read(buffer, "LOCK_GET_BYTES");
            synchronized (lock == null ? buffer : lock) {
                Fields.write(buffer, Fields.find(buffer.getClass(), "buffered"), 0);
            }
        }
    }

    /** Makes all of it anew. */
    void renew() throws IOException, ReflectiveOperationException {
        discard();
        List<Thread> threads = threads();
        draw(8 * (2 * threads.size() + seeds.size() + 8 * generators.size() + 8));
        for (AtomicLong seed : seeds) {
            seed.set(fresh.getLong());
        }
        for (Thread thread : threads) {
            Fields.write(thread, threadSeed, fresh.getLong());
            Fields.write(thread, threadSecondary, fresh.getLong() | 1);
        }
        Object cached = Fields.read(ThreadLocalRandom.class.getName(), "nextLocalGaussian");
        if (cached instanceof ThreadLocal) {
            ((ThreadLocal<?>) cached).remove();
        }
        renewSeeder();
        for (WeakReference<Object> reference : generators) {
            Object generator = reference.get();
            if (generator != null) {
                renew(generator);
            }
        }
    }

    private void renew(Object generator) throws ReflectiveOperationException {
        if (generator instanceof SecureRandom) {
            SecureRandom secure = (SecureRandom) generator;
            // The system's own has no state here, and would open a file to write a seed to.
            if (!secure.getAlgorithm().startsWith("NativePRNG")) {
                byte[] seed = new byte[48];
                fresh.get(seed);
                secure.setSeed(seed);
            }
        } else if (generator instanceof ThreadLocalRandom) {
            return; // has its state in the threads
        } else if (generator instanceof Random) {
            try {
                ((Random) generator).setSeed(fresh.getLong());
            } catch (RuntimeException refused) {
                return; // a class of somebody's that takes no seed
            }
        } else if (generator instanceof SplittableRandom) {
            Fields.write(generator, Fields.find(SplittableRandom.class, "seed"), fresh.getLong());
        } else {
            // The class is new in Java 17. What it makes here begins with one of the seeds above.
            Object other = Class.forName("java.util.random.RandomGenerator").getMethod("of", String.class)
                    .invoke(null, generator.getClass().getSimpleName());
            Fields.copy(other, generator);
        }
    }

    /** What SHA1PRNG takes the first seeds of its instances from. */
    private void renewSeeder() {
        Object seeder = Fields.read("sun.security.provider.SecureRandom$SeederHolder", "seeder");
        Object state = seeder == null ? null : Fields.read(seeder, "state");
        if (state != null) {
            fresh.get((byte[]) state);
            Fields.write(seeder, Fields.find(seeder.getClass(), "remCount"), 0);
        }
    }

    private void draw(int count) throws IOException {
        byte[] bytes = new byte[count];
        try (FileInputStream system = new FileInputStream(SYSTEM)) {
            if (system.readNBytes(bytes, 0, count) < count) {
                throw new IOException(SYSTEM + " gives too little");
            }
        }
        fresh = ByteBuffer.wrap(bytes);
    }

    /** All threads that run. */
    private static List<Thread> threads() {
        ThreadGroup all = Thread.currentThread().getThreadGroup();
        while (all.getParent() != null) {
            all = all.getParent();
        }
        Thread[] threads = new Thread[all.activeCount() + 8];
        int count = all.enumerate(threads);
        while (count == threads.length) {
            threads = new Thread[2 * count];
            count = all.enumerate(threads);
        }
        List<Thread> list = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            list.add(threads[i]);
        }
        return list;
    }
}
