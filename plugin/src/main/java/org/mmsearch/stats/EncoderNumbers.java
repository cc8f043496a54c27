package org.mmsearch.stats;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderState;

/** Builds the {@code encoder} section of the stats from the counters and the current state. */
public final class EncoderNumbers {

    private EncoderNumbers() {}

    /**
     * Returns {@code calls}, {@code retries}, {@code coalesced}, {@code in_flight}, {@code queued}, {@code cache}, {@code failures} by
     * cause, {@code endpoints}, and {@code latency} by stage in milliseconds.
     */
    public static Map<String, Object> asMap(EncoderStats stats, EncoderState state) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("calls", stats.calls());
        map.put("retries", stats.retries());
        map.put("coalesced", stats.coalescedCount());
        map.put("in_flight", state.inFlight());
        map.put("queued", state.queued());
        map.put("cache", cache(stats, state));
        map.put("failures", failures(stats));
        map.put("endpoints", endpoints(state));
        Map<String, Object> latency = new LinkedHashMap<>();
        latency.put("encode", stats.encode.asMap());
        latency.put("queue", stats.queue.asMap());
        latency.put("call", stats.call.asMap());
        map.put("latency", latency);
        return map;
    }

    private static Map<String, Object> cache(EncoderStats stats, EncoderState state) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("hits", stats.cacheHits());
        map.put("misses", stats.cacheMisses());
        map.put("entries", state.cacheEntries());
        map.put("bytes", state.cacheBytes());
        map.put("limit_bytes", state.cacheLimit());
        map.put("evictions", state.cacheEvictions());
        return map;
    }

    private static Map<String, Object> failures(EncoderStats stats) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (EncoderFailure failure : EncoderFailure.values()) {
            map.put(failure.label(), stats.failures(failure));
        }
        return map;
    }

    private static List<Map<String, Object>> endpoints(EncoderState state) {
        List<Map<String, Object>> list = new ArrayList<>();
        for (EncoderState.Endpoint endpoint : state.endpoints()) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("url", endpoint.url());
            map.put("breaker", endpoint.breaker());
            map.put("opened", endpoint.opened());
            map.put("in_flight", endpoint.inFlight());
            if (endpoint.lastFailure() != null) {
                map.put("last_failure", endpoint.lastFailure());
            }
            list.add(map);
        }
        return list;
    }
}
