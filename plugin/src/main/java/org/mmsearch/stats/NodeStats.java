package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** The stats of this node, in named sections. The numbers of a section are collected on request. */
public final class NodeStats {

    private final Map<String, Supplier<Map<String, Object>>> parts = new LinkedHashMap<>();

    /**
     * Adds a section. Must be called while the node starts.
     *
     * @param name key of the section in the response, such as {@code encoder}
     * @param numbers supplies a map of numbers, booleans, strings, lists and maps
     * @return this object
     */
    public NodeStats with(String name, Supplier<Map<String, Object>> numbers) {
        parts.put(name, numbers);
        return this;
    }

    /** Returns the current numbers of all sections. */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        parts.forEach((name, numbers) -> map.put(name, numbers.get()));
        return map;
    }
}
