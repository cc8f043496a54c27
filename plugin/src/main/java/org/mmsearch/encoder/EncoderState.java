package org.mmsearch.encoder;

import java.util.List;

/**
 * The encoder at one moment.
 *
 * @param endpoints each server with its breaker
 * @param inFlight calls under way
 * @param queued encodings that wait for a place
 * @param cacheEntries cached vectors
 * @param cacheBytes the heap they take
 * @param cacheLimit the most they may take
 * @param cacheEvictions how many were evicted for newer ones
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
     * @param url the server's root
     * @param breaker {@code closed}, {@code open} or {@code half_open}
     * @param opened how often the breaker has opened
     * @param inFlight calls under way to it
     * @param lastFailure what went wrong there last, or null
     */
    public record Endpoint(String url, String breaker, long opened, int inFlight, String lastFailure) {}
}
