package mayfly.runtime;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.URLConnection;
import java.security.CodeSigner;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.jar.Manifest;

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
        Class<?> type = define(name);
        synchronized (classes) {
            classes.add(type);
        }
        return type;
    }

    /** As {@link URLClassLoader} does it, but for what {@link CallSites} makes of the class file. */
    private Class<?> define(String name) throws ClassNotFoundException {
        URL place = findResource(name.replace('.', '/') + ".class");
        if (place == null) {
            throw new ClassNotFoundException(name);
        }
        try {
            URLConnection connection = place.openConnection();
            byte[] file;
            try (InputStream content = connection.getInputStream()) {
                file = CallSites.rewrite(content.readAllBytes());
            }
            URL root = url(root() + "/");
            Manifest manifest = null;
            CodeSigner[] signers = null;
            if (connection instanceof JarURLConnection) {
                JarURLConnection jar = (JarURLConnection) connection;
                root = jar.getJarFileURL();
                manifest = jar.getManifest();
                signers = jar.getJarEntry().getCodeSigners();
            }
            definePackageOf(name, manifest, root);
            return defineClass(name, file, 0, file.length, new CodeSource(root, signers));
        } catch (IOException error) {
            throw new ClassNotFoundException(name, error);
        }
    }

    /** Defines the package of a class, unless that is done. */
    private void definePackageOf(String name, Manifest manifest, URL root) {
        int end = name.lastIndexOf('.');
        if (end < 0) {
            return;
        }
        String packageName = name.substring(0, end);
        Package known = getDefinedPackage(packageName);
        if (known != null) {
            if (known.isSealed() && !known.isSealed(root)) {
                throw new SecurityException("sealing violation: package " + packageName + " is sealed");
            }
            return;
        }
        try {
            if (manifest != null) {
                definePackage(packageName, manifest, root);
            } else {
                definePackage(packageName, null, null, null, null, null, null, null);
            }
        } catch (IllegalArgumentException another) {
            // Another thread has defined it in this moment.
        }
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
        List<URL> places = new ArrayList<>();
        places.add(url(root() + "/"));
        addJars(root() + "/lib/", places);
        addJars("/opt/java/lib/", places);
        return places.toArray(new URL[0]);
    }

    /** The directory of the function's package. */
    private static String root() {
        return Bootstrap.variable("LAMBDA_TASK_ROOT");
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
