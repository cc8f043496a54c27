package org.mmsearch;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Generates almost valid JSON by changing keys, values and positions in valid examples. */
final class RandomJson {

    private static final Object[] VALUES = {
        "", "a", "rrf", "min_max", "window", "\uD800", "R0lGODlhAgADAAAAAA==", "NaN", "1e999", 0, 1, -1, 3.5, 1e300, -0.0, 10_001,
        Integer.MAX_VALUE, Long.MIN_VALUE, Double.MIN_VALUE, true, false, null };

    private final Random random;
    private final List<Map<String, Object>> examples;
    private final List<String> keys = new ArrayList<>();
    private final List<Object> parts = new ArrayList<>();

    /** @param examples valid trees, which are not modified */
    RandomJson(Random random, List<Map<String, Object>> examples) {
        this.random = random;
        this.examples = examples;
        examples.forEach(this::collect);
    }

    /** Returns a copy of an example with one to five changes. */
    Map<String, Object> next() {
        Map<String, Object> tree = new LinkedHashMap<>(castMap(copy(one(examples))));
        for (int changes = 1 + random.nextInt(5); changes > 0; changes--) {
            change(tree);
        }
        return tree;
    }

    /** Returns the text with up to three characters changed, removed or repeated. */
    String spoilt(String text) {
        StringBuilder spoilt = new StringBuilder(text);
        for (int changes = 1 + random.nextInt(3); changes > 0 && spoilt.length() > 1; changes--) {
            int at = random.nextInt(spoilt.length());
            switch (random.nextInt(4)) {
                case 0 -> spoilt.setCharAt(at, "{}[],:\"\\0-e.\u0000\u00ff".charAt(random.nextInt(14)));
                case 1 -> spoilt.deleteCharAt(at);
                case 2 -> spoilt.insert(at, spoilt.substring(at, Math.min(spoilt.length(), at + random.nextInt(40))));
                default -> spoilt.setLength(at);
            }
        }
        return spoilt.toString();
    }

    private void collect(Object part) {
        parts.add(part);
        if (part instanceof Map<?, ?> map) {
            map.forEach((key, value) -> {
                keys.add((String) key);
                collect(value);
            });
        } else if (part instanceof List<?> list) {
            list.forEach(this::collect);
        }
    }

    private void change(Map<String, Object> tree) {
        List<Object> places = new ArrayList<>();
        places(tree, places);
        Object place = one(places);
        if (place instanceof Map<?, ?>) {
            Map<String, Object> map = castMap(place);
            String key = map.isEmpty() || random.nextInt(4) == 0 ? one(keys) : one(List.copyOf(map.keySet()));
            switch (random.nextInt(4)) {
                case 0 -> map.remove(key);
                case 1 -> map.put(one(keys), map.get(key));
                default -> map.put(key, value(map.get(key)));
            }
        } else {
            List<Object> list = castList(place);
            int at = random.nextInt(list.size() + 1);
            if (at < list.size() && random.nextBoolean()) {
                list.set(at, value(list.get(at)));
            } else {
                list.add(at, value(null));
            }
        }
    }

    private Object value(Object now) {
        return switch (random.nextInt(5)) {
            case 0 -> copy(one(parts));
            case 1 -> new ArrayList<>(List.of(now == null ? "x" : copy(now)));
            case 2 -> new HashMap<>(Map.of(one(keys), now == null ? "x" : copy(now)));
            case 3 -> {
                Object deep = 1;
                for (int depth = random.nextInt(60); depth > 0; depth--) {
                    deep = new HashMap<>(Map.of(one(keys), deep));
                }
                yield deep;
            }
            default -> VALUES[random.nextInt(VALUES.length)];
        };
    }

    private static void places(Object part, List<Object> found) {
        if (part instanceof Map<?, ?> map) {
            found.add(map);
            map.values().forEach(value -> places(value, found));
        } else if (part instanceof List<?> list) {
            found.add(list);
            list.forEach(value -> places(value, found));
        }
    }

    private static Object copy(Object part) {
        if (part instanceof Map<?, ?> map) {
            Map<String, Object> copied = new LinkedHashMap<>();
            map.forEach((key, value) -> copied.put((String) key, copy(value)));
            return copied;
        }
        if (part instanceof List<?> list) {
            List<Object> copied = new ArrayList<>();
            list.forEach(value -> copied.add(copy(value)));
            return copied;
        }
        return part;
    }

    private <T> T one(List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    @SuppressWarnings("unchecked") // all trees are created in this class
    private static Map<String, Object> castMap(Object map) {
        return (Map<String, Object>) map;
    }

    @SuppressWarnings("unchecked")
    private static List<Object> castList(Object list) {
        return (List<Object>) list;
    }
}
