package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** What this node tells of itself: named parts, each asked for its numbers when someone looks. */
public final class NodeStats {

    private final Map<String, Supplier<Map<String, Object>>> parts = new LinkedHashMap<>();

    /**
     * Adds a part; called while the node starts.
     *
     * @param name its name in the answer, for instance {@code encoder}
     * @param numbers its numbers: a map of numbers, strings, lists and maps
     */
    public NodeStats with(String name, Supplier<Map<String, Object>> numbers) {
        parts.put(name, numbers);
        return this;
    }

    /** All the parts' numbers at this moment. */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        parts.forEach((name, numbers) -> map.put(name, numbers.get()));
        return map;
    }
}
