package org.mmsearch.fusion;

import java.util.List;
import java.util.Map;
import java.util.Set;

/** Parses a fusion from the {@code fusion} object of a clause or from the definition of a search-pipeline processor. */
public final class FusionParser {

    static final int DEFAULT_RANK_CONSTANT = 60;
    private static final int MAX_RANK_CONSTANT = 10_000;
    /** Tolerance for weights rounded to two decimal places, the same as in the official clause. */
    private static final double SUM_TOLERANCE = 0.01;
    private static final double FLOAT_ERROR = 1e-6;

    private FusionParser() {}

    /**
     * Parses the {@code fusion} object of a clause. A normalization that it leaves out is the default.
     *
     * @param object as for {@link #parse(Map, Normalization)}
     */
    public static Fusion parse(Map<String, Object> object) {
        return parse(object, Fusion.DEFAULT.normalization());
    }

    /**
     * Parses a fusion.
     *
     * @param object {@code normalization}, {@code combination} and {@code window_size}, all optional. The common keys of processors
     *     ({@code tag}, {@code description}, {@code ignore_failure}) are ignored
     * @param absent the normalization if the object has none
     * @return the fusion
     * @throws IllegalArgumentException if a key or technique is unknown, the weights do not sum to 1, or the techniques are incompatible
     */
    public static Fusion parse(Map<String, Object> object, Normalization absent) {
        allow(object, Set.of("normalization", "combination", "window_size", "tag", "description", "ignore_failure"), "fusion");
        Map<String, Object> combine = object(object, "combination", Map.of());
        allow(combine, Set.of("technique", "rank_constant", "parameters"), "combination");
        Combination combination = Combination.of(string(combine, "technique", Combination.ARITHMETIC_MEAN.technique()));
        Map<String, Object> parameters = object(combine, "parameters", Map.of());
        if (combination == Combination.LEARNED) {
            allow(combine, Set.of("technique", "parameters"), "combination");
        } else {
            allow(parameters, Set.of("weights", "rank_constant"), "combination.parameters");
        }
        List<Float> weights = weights(parameters.get("weights"));
        int window = integer(object, "window_size", 0, 1, Integer.MAX_VALUE);
        if (combination == Combination.RRF) {
            if (object.containsKey("normalization")) {
                throw new IllegalArgumentException("[fusion] rrf combines ranks and does not support [normalization]: remove it");
            }
            Map<String, Object> holder = parameters.containsKey("rank_constant") ? parameters : combine;
            int constant = integer(holder, "rank_constant", DEFAULT_RANK_CONSTANT, 1, MAX_RANK_CONSTANT);
            return new Fusion(Normalization.RECIPROCAL_RANK, List.of(), List.of(), combination, constant, weights, window);
        }
        if (combine.containsKey("rank_constant") || parameters.containsKey("rank_constant")) {
            throw new IllegalArgumentException(
                "[fusion] [rank_constant] is supported only with the technique rrf, got [" + combination.technique() + "]"
            );
        }
        Map<String, Object> normalize = object(object, "normalization", Map.of());
        allow(normalize, Set.of("technique", "parameters"), "normalization");
        Normalization normalization = Normalization.of(string(normalize, "technique", absent.technique()));
        Map<String, Object> bounds = object(normalize, "parameters", Map.of());
        allow(bounds, Set.of("lower_bounds", "upper_bounds"), "normalization.parameters");
        if (bounds.isEmpty() == false && normalization != Normalization.MIN_MAX && normalization.needsRanges() == false) {
            throw new IllegalArgumentException(
                "[fusion] bounds are supported only with min_max and theoretical_min_max, got [" + normalization.technique() + "]"
            );
        }
        if (normalization == Normalization.Z_SCORE && combination != Combination.ARITHMETIC_MEAN) {
            throw new IllegalArgumentException(
                "[fusion] z_score is supported only with arithmetic_mean, got [" + combination.technique() + "]"
            );
        }
        return new Fusion(
            normalization,
            bounds(bounds, "lower_bounds", "min_score", 0f),
            bounds(bounds, "upper_bounds", "max_score", 1f),
            combination,
            DEFAULT_RANK_CONSTANT,
            weights,
            window,
            combination == Combination.LEARNED ? LearnedModel.parse(parameters) : null
        );
    }

    private static List<Float> weights(Object value) {
        if (value == null) {
            return List.of();
        }
        List<Float> weights = list(value, "weights").stream().map(weight -> number(weight, "weights")).toList();
        double sum = 0;
        for (float weight : weights) {
            if (weight < 0 || weight > 1 || Float.isNaN(weight)) {
                throw new IllegalArgumentException("[fusion] expected weights between 0 and 1, got " + weights);
            }
            sum += weight;
        }
        if (Math.abs(sum - 1) > SUM_TOLERANCE + FLOAT_ERROR) {
            throw new IllegalArgumentException(
                "[fusion] expected weights that sum to 1, within " + SUM_TOLERANCE + ", got " + weights + ", which sum to " + sum
            );
        }
        return weights;
    }

    private static List<Bound> bounds(Map<String, Object> parameters, String key, String scoreKey, float defaultScore) {
        if (parameters.containsKey(key) == false) {
            return List.of();
        }
        return list(parameters.get(key), key).stream().map(item -> {
            Map<String, Object> bound = map(item, key);
            allow(bound, Set.of("mode", scoreKey), key);
            Object score = bound.get(scoreKey);
            return new Bound(
                Bound.Mode.of(bound.getOrDefault("mode", "apply")),
                score == null ? defaultScore : number(score, scoreKey)
            );
        }).toList();
    }

    static void allow(Map<String, Object> object, Set<String> keys, String where) {
        for (String key : object.keySet()) {
            if (keys.contains(key) == false) {
                throw new IllegalArgumentException("[" + where + "] does not support [" + key + "]");
            }
        }
    }

    private static Map<String, Object> object(Map<String, Object> parent, String key, Map<String, Object> absent) {
        return parent.containsKey(key) ? map(parent.get(key), key) : absent;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value, String key) {
        if (value instanceof Map<?, ?>) {
            return (Map<String, Object>) value;
        }
        throw new IllegalArgumentException("[fusion] expected [" + key + "] to be an object, got [" + value + "]");
    }

    static List<?> list(Object value, String key) {
        if (value instanceof List<?> list) {
            return list;
        }
        throw new IllegalArgumentException("[fusion] expected [" + key + "] to be an array, got [" + value + "]");
    }

    private static String string(Map<String, Object> parent, String key, String absent) {
        Object value = parent.getOrDefault(key, absent);
        if (value instanceof String string) {
            return string;
        }
        throw new IllegalArgumentException("[fusion] expected [" + key + "] to be a string, got [" + value + "]");
    }

    private static float number(Object value, String key) {
        float number;
        try {
            number = value instanceof Number given ? given.floatValue() : Float.parseFloat(String.valueOf(value));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("[fusion] expected a number in [" + key + "], got [" + value + "]", e);
        }
        if (Float.isFinite(number) == false) {
            throw new IllegalArgumentException("[fusion] expected a finite number in [" + key + "], got [" + value + "]");
        }
        return number;
    }

    private static int integer(Map<String, Object> parent, String key, int absent, int least, int most) {
        if (parent.containsKey(key) == false) {
            return absent;
        }
        float value = number(parent.get(key), key);
        if (value < least || value > most || value != Math.rint(value)) {
            throw new IllegalArgumentException(
                "[fusion] expected [" + key + "] to be a whole number from " + least + " to " + most + ", got [" + parent.get(key) + "]"
            );
        }
        return (int) value;
    }
}
