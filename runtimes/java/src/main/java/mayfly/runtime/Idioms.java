package mayfly.runtime;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Goes the ways that most handlers go: lambdas, streams, collections, formats, dates. What the JVM loads and makes when the
 * first of a kind comes, tens of milliseconds of it, is then there.
 */
final class Idioms {
    private Idioms() {}

    static void use() {
        try {
            streams(List.of("a", "bb", "cc"));
            collections(new ArrayList<>(List.of("a", "bb", "cc")));
            texts();
            times();
        } catch (RuntimeException | GeneralSecurityException | LinkageError missing) {
            // This JVM is not whole; if the function needs what it lacks, its events will say so.
        }
    }

    private static void streams(List<String> words) {
        int captured = words.size();
        Supplier<Integer> supplier = () -> captured;
        Function<String, Integer> length = word -> word.length() + supplier.get();
        words.stream().filter(word -> !word.isEmpty()).map(length).collect(Collectors.toList());
        words.stream().map(String::length).distinct().sorted().collect(Collectors.toSet());
        words.stream().sorted(Comparator.comparing(String::length).thenComparing(Comparator.reverseOrder()))
                .skip(1).limit(1).findFirst();
        words.stream().sorted(Comparator.comparingInt(String::length).reversed()).toArray(String[]::new);
        words.stream().flatMap(word -> Stream.of(word, word)).peek(String::hashCode).count();
        words.stream().map(word -> word + "!").collect(Collectors.joining(", ", "[", "]"));
        words.stream().collect(Collectors.toMap(word -> word, String::length));
        words.stream().collect(Collectors.toMap(String::length, word -> word, (one, other) -> one, TreeMap::new));
        words.stream().collect(Collectors.groupingBy(String::length));
        words.stream().collect(Collectors.groupingBy(String::length, Collectors.counting()));
        words.stream().collect(Collectors.groupingBy(
                String::length, Collectors.mapping(word -> word, Collectors.toList())));
        words.stream().collect(Collectors.groupingBy(String::length, Collectors.summingInt(String::length)));
        words.stream().collect(Collectors.partitioningBy(word -> word.length() > 1));
        words.stream().collect(Collectors.averagingInt(String::length));
        words.stream().reduce((one, other) -> one);
        words.stream().map(String::length).reduce(0, Integer::sum);
        words.stream().max(Comparator.naturalOrder());
        words.stream().min(Comparator.comparing(word -> word));
        words.stream().anyMatch("a"::equals);
        words.stream().allMatch(word -> word.length() > 0);
        words.stream().noneMatch(String::isEmpty);
        words.stream().mapToInt(String::length).sum();
        words.stream().mapToLong(String::length).sum();
        words.stream().mapToDouble(String::length).average();
        IntStream.range(0, 3).boxed().collect(Collectors.toList());
        IntStream.rangeClosed(1, 3).mapToObj(Integer::toString).forEach(String::hashCode);
        IntStream.of(1, 2).map(number -> number + 1).filter(number -> number > 1).summaryStatistics();
        Arrays.stream(new String[] {"a"}).collect(Collectors.toList());
        Stream.iterate(1, number -> number + 1).limit(2).forEach(number -> {});
        Optional.of("a").map(String::length).filter(number -> number > 0).orElseGet(() -> 1);
        Optional.of("a").ifPresent(String::hashCode);
    }

    private static void collections(List<String> words) {
        words.forEach(String::hashCode);
        words.sort(Comparator.comparing(String::length));
        words.sort(null);
        words.removeIf(String::isEmpty);
        words.replaceAll(String::trim);
        Map<String, Integer> counts = new HashMap<>();
        for (String word : words) {
            counts.merge(word, 1, Integer::sum);
            counts.computeIfAbsent(word + "?", key -> key.length());
            counts.computeIfPresent(word, (key, value) -> value + 1);
        }
        counts.forEach((key, value) -> key.hashCode());
        counts.entrySet().stream().sorted(Map.Entry.comparingByValue()).map(Map.Entry::getKey)
                .collect(Collectors.toList());
        counts.entrySet().stream().sorted(Map.Entry.<String, Integer>comparingByKey().reversed())
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
        counts.values().stream().mapToInt(Integer::intValue).sum();
        CompletableFuture.completedFuture(1).thenApply(number -> number + 1).join();
    }

    private static void texts() throws GeneralSecurityException {
        String.format(Locale.ROOT, "%s %d %.2f %05d %x %,d%n", "a", 1, 1.5, 2L, 255, 1_000).split(", *");
        String.join("-", List.of("a", "b")).replaceAll("[a-z]+", "c").matches("\\w+");
        Pattern.compile("(\\d+)-(?<name>[a-z]*)").matcher("1-a").find();
        "a\nb".lines().map(String::strip).collect(Collectors.toList());
        "ab".chars().filter(Character::isLetter).count();
        "A".toLowerCase(Locale.ROOT).repeat(2).contains("a");
        Integer.parseInt("1");
        Double.toString(Double.parseDouble("1.5"));
        new BigDecimal("1.25").multiply(BigDecimal.TEN).setScale(1, RoundingMode.HALF_UP).toPlainString();
        Base64.getEncoder().encodeToString("a".getBytes(StandardCharsets.UTF_8));
        Base64.getDecoder().decode("YQ==");
        MessageDigest.getInstance("SHA-256").digest(new byte[1]);
        UUID.randomUUID().toString();
    }

    private static void times() {
        Instant.parse("2026-01-31T12:00:00.5Z").plus(Duration.ofMinutes(1)).toString();
        LocalDate.parse("2026-01-31").plusDays(1).getDayOfWeek().toString();
        ZonedDateTime.ofInstant(Instant.EPOCH, ZoneOffset.UTC).format(DateTimeFormatter.ISO_DATE_TIME);
        DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss", Locale.ROOT)
                .format(ZonedDateTime.ofInstant(Instant.EPOCH, ZoneOffset.UTC));
        Duration.between(Instant.EPOCH, Instant.EPOCH.plusSeconds(1)).toString();
    }
}
