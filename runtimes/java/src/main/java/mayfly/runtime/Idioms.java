package mayfly.runtime;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Goes the ways that most handlers go: lambdas, streams, formats. What the JVM sets up when the first of a kind comes,
 * tens of milliseconds of it, is then there.
 */
final class Idioms {
    private Idioms() {}

    static void use() {
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
