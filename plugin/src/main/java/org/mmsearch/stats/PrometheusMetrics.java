package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.Map;

/** Type and help text of each number of the stats in Prometheus. */
final class PrometheusMetrics {

    /**
     * Description of a metric.
     *
     * @param kind the type: {@code counter}, {@code gauge} or {@code histogram}
     * @param help the help text, one line
     */
    record Metric(String kind, String help) {}

    private static final Map<String, Metric> METRICS = new LinkedHashMap<>();

    static {
        counter("encoder_calls", "Calls to Triton, including retries.");
        counter("encoder_retries", "Retried calls to Triton.");
        counter("encoder_coalesced", "Requests for a vector that shared the call of an equal request.");
        gauge("encoder_in_flight", "Calls to Triton in flight.");
        gauge("encoder_queued", "Requests for a vector that wait in the queue.");
        counter("encoder_cache_hits", "Vectors found in the cache.");
        counter("encoder_cache_misses", "Vectors not found in the cache.");
        gauge("encoder_cache_entries", "Vectors in the cache.");
        gauge("encoder_cache_bytes", "Heap used by cached vectors, in bytes.");
        gauge("encoder_cache_limit_bytes", "Maximum heap for cached vectors, in bytes.");
        counter("encoder_cache_evictions", "Vectors evicted from the cache.");
        counter("encoder_failures", "Failed requests for a vector, by cause.");
        gauge("encoder_endpoint_breaker", "State of the endpoint's breaker: 0 closed, 1 half open, 2 open.");
        counter("encoder_endpoint_opened", "Number of times that the endpoint's breaker opened.");
        gauge("encoder_endpoint_in_flight", "Calls to the endpoint in flight.");
        histogram("encoder_latency_encode", "Time from a search's request for a vector to the vector or the failure.");
        histogram("encoder_latency_queue", "Time that requests for a vector wait in the queue.");
        histogram("encoder_latency_call", "Time of one call to Triton.");
        counter("hybrid_in_shard", "Hybrids fused by their only shard.");
        counter("hybrid_one_search", "Hybrids fused between the query phase and the fetch phase of one search.");
        counter("hybrid_two_rounds", "Hybrids whose legs ran in a separate search.");
        counter("hybrid_point_in_time", "Hybrids whose legs ran in a separate search, in a point in time opened for both.");
        counter("hybrid_legs_skipped", "Legs omitted because their encoder failed.");
        histogram("hybrid_latency_legs", "Time to collect the hits of a hybrid's legs.");
        histogram("hybrid_latency_fuse", "Time to fuse the hits of a hybrid's legs.");
        gauge("knn_native_libraries", "Whether k-NN's native libraries are installed on the node: 1 yes, 0 no.");
    }

    private PrometheusMetrics() {}

    /**
     * Returns the description of a number.
     *
     * @param path the keys of the number in the stats, joined with {@code _}
     * @throws IllegalStateException if the number has no description
     */
    static Metric of(String path) {
        Metric metric = METRICS.get(path);
        if (metric == null) {
            throw new IllegalStateException("expected a Prometheus description of [" + path + "] of the stats, got none");
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
