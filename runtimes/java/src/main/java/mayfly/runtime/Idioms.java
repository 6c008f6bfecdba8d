package mayfly.runtime;

import java.lang.invoke.CallSite;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.StringConcatFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Goes the ways that most handlers go: strings put together, lambdas, streams, formats. What the JVM sets up when the
 * first of a kind comes, tens of milliseconds of it, is then there.
 */
final class Idioms {
    /** The types of what is put together, one letter each. */
    private static final String[] SHAPES = {
        "S", "O", "I", "J", "SS", "SO", "SI", "SJ", "OO", "IS", "JS", "II", "JJ", "SSS", "OOO", "SIS", "SJS", "SSI", "SSJ",
        "SSSS", "OOOO",
    };

    private Idioms() {}

    static void use() throws Throwable {
        for (String shape : SHAPES) {
            // With text before, between and behind.
            StringBuilder recipe = new StringBuilder("a");
            StringBuilder bare = new StringBuilder();
            Class<?>[] types = new Class<?>[shape.length()];
            Object[] values = new Object[shape.length()];
            for (int i = 0; i < types.length; i++) {
                char kind = shape.charAt(i);
                types[i] = kind == 'S' ? String.class : kind == 'I' ? int.class : kind == 'J' ? long.class : Object.class;
                values[i] = kind == 'I' ? (Object) 1 : kind == 'J' ? (Object) 1L : "b";
                recipe.append("\1c");
                bare.append(i == 0 ? "\1" : " \1");
            }
            MethodType type = MethodType.methodType(String.class, types);
            for (String one : new String[] {recipe.toString(), bare.toString(), bare.insert(0, 'd').toString()}) {
                CallSite site = StringConcatFactory.makeConcatWithConstants(MethodHandles.lookup(), "e", type, one);
                site.getTarget().invokeWithArguments(values);
            }
        }
        List<String> words = Arrays.asList("a", "b");
        int captured = words.size();
        Supplier<Integer> supplier = () -> captured;
        Function<String, Integer> function = word -> word.length() + supplier.get();
        words.stream().filter(word -> !word.isEmpty()).map(function).collect(Collectors.toList());
        words.stream().collect(Collectors.toMap(word -> word, String::length));
        words.stream().mapToInt(String::length).sum();
        words.forEach(String::hashCode);
        String.format(Locale.ROOT, "%s %d %.2f %05d", "a", 1, 1.5, 2L).split(", *");
        String.join("-", words).replaceAll("[a-z]+", "c").matches("\\w+");
        UUID.randomUUID().toString();
    }
}
