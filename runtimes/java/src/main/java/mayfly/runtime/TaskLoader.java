package mayfly.runtime;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Loads the function's classes: from its package, from the jars in its {@code lib}, from the layers' {@code java/lib}.
 * The interfaces that a function implements are the runtime's: a copy in the package is not looked at.
 */
final class TaskLoader extends URLClassLoader {
    private final List<Class<?>> classes = new ArrayList<>();

    TaskLoader() throws MalformedURLException {
        super(places(), TaskLoader.class.getClassLoader());
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        Class<?> type = super.findClass(name);
        synchronized (classes) {
            classes.add(type);
        }
        return type;
    }

    /** All classes of the function that are loaded. */
    List<Class<?>> classes() {
        synchronized (classes) {
            return new ArrayList<>(classes);
        }
    }

    /** A class of the function's own, whether the runtime has one of that name or not. */
    Class<?> own(String name) throws ClassNotFoundException {
        return findClass(name);
    }

    private static URL[] places() throws MalformedURLException {
        String root = Bootstrap.variable("LAMBDA_TASK_ROOT");
        List<URL> places = new ArrayList<>();
        places.add(url(root + "/"));
        addJars(root + "/lib/", places);
        addJars("/opt/java/lib/", places);
        return places.toArray(new URL[0]);
    }

    /** Adds the jars of a directory in the order of their names, which does not depend on the file system. */
    private static void addJars(String directory, List<URL> places) throws MalformedURLException {
        String[] names = new File(directory).list();
        if (names == null) {
            return;
        }
        Arrays.sort(names);
        for (String name : names) {
            if (name.endsWith(".jar")) {
                places.add(url(directory + name));
            }
        }
    }

    private static URL url(String path) throws MalformedURLException {
        return new URL("file", "", path);
    }
}
