package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.Map;

/** What each number of the stats is for Prometheus: its kind, and a line that says what it counts. */
final class PrometheusMetrics {

    /**
     * @param kind {@code counter}, {@code gauge} or {@code histogram}
     * @param help one line
     */
    record Metric(String kind, String help) {}

    private static final Map<String, Metric> METRICS = new LinkedHashMap<>();

    static {
        counter("encoder_calls", "Calls to Triton, repeated ones included.");
        counter("encoder_retries", "Calls to Triton that repeated another.");
        counter("encoder_coalesced", "Encodings that shared the call of an equal one.");
        gauge("encoder_in_flight", "Calls to Triton under way.");
        gauge("encoder_queued", "Encodings that wait for a call.");
        counter("encoder_cache_hits", "Vectors that were in the cache.");
        counter("encoder_cache_misses", "Vectors that were not in the cache.");
        gauge("encoder_cache_entries", "Vectors in the cache.");
        gauge("encoder_cache_bytes", "Heap that the cached vectors take.");
        gauge("encoder_cache_limit_bytes", "The most heap that cached vectors may take.");
        counter("encoder_cache_evictions", "Vectors that left the cache for newer ones.");
        counter("encoder_failures", "Encodings that failed, by cause.");
        gauge("encoder_endpoint_breaker", "The breaker of a Triton: 0 closed, 1 half open, 2 open.");
        counter("encoder_endpoint_opened", "How often the breaker of a Triton has opened.");
        gauge("encoder_endpoint_in_flight", "Calls under way to a Triton.");
        histogram("encoder_latency_encode", "From a search's request for a vector to its completion.");
        histogram("encoder_latency_queue", "From a search's request for a vector to its call.");
        histogram("encoder_latency_call", "One exchange with Triton.");
        counter("hybrid_in_shard", "Hybrids that were fused inside their only shard.");
        counter("hybrid_one_search", "Hybrids that were fused between the phases of their search.");
        counter("hybrid_two_rounds", "Hybrids whose legs ran in a search before their own.");
        counter("hybrid_point_in_time", "Hybrids whose legs ran before their search in a point in time.");
        counter("hybrid_legs_skipped", "Legs that were left out because their encoder failed.");
        histogram("hybrid_latency_legs", "From the start of a hybrid's legs to their hits.");
        histogram("hybrid_latency_fuse", "From the hits of a hybrid's legs to the fused ones.");
        gauge("knn_native_libraries", "Whether the native libraries of k-NN are on the node.");
    }

    private PrometheusMetrics() {}

    /**
     * @param path of the number in the stats, its keys with {@code _} between
     * @throws IllegalStateException where nothing is known of it
     */
    static Metric of(String path) {
        Metric metric = METRICS.get(path);
        if (metric == null) {
            throw new IllegalStateException("expected [" + path + "] of the stats to be described for Prometheus, got no line for it");
        }
        return metric;
    }

    private static void counter(String path, String help) {
        METRICS.put(path, new Metric("counter", help));
    }

    private static void gauge(String path, String help) {
        METRICS.put(path, new Metric("gauge", help));
    }

    private static void histogram(String path, String help) {
        METRICS.put(path, new Metric("histogram", help));
    }
}
