package org.mmsearch.encoder;

import java.util.List;

/**
 * A snapshot of the encoder's state.
 *
 * @param endpoints the state of each endpoint
 * @param inFlight number of calls in flight
 * @param queued number of requests for a vector that wait in the queue
 * @param cacheEntries number of cached vectors
 * @param cacheBytes heap used by the cache, in bytes
 * @param cacheLimit maximum heap for the cache, in bytes
 * @param cacheEvictions number of vectors evicted from the cache
 */
public record EncoderState(
    List<Endpoint> endpoints,
    int inFlight,
    int queued,
    int cacheEntries,
    long cacheBytes,
    long cacheLimit,
    long cacheEvictions
) {
    /**
     * A snapshot of an endpoint's state.
     *
     * @param url URL of the server
     * @param breaker state of the breaker: {@code closed}, {@code open} or {@code half_open}
     * @param opened how often the breaker has opened
     * @param inFlight number of calls in flight to the endpoint
     * @param lastFailure message of the last failure, or null
     */
    public record Endpoint(String url, String breaker, long opened, int inFlight, String lastFailure) {}
}
