package org.mmsearch.encoder;

import java.net.URI;
import java.util.List;

/**
 * How Triton is called; replaced as a whole when a dynamic setting changes.
 *
 * @param endpoints the roots of the servers, for instance {@code http://127.0.0.1:8000}; at least one
 * @param timeoutMillis the longest that a search waits for its encoding
 * @param retries how often a call is repeated after a lost connection, a 429 or a 503
 * @param maxInFlight how many calls are under way at once
 * @param queueSize how many further ones wait for a place before a search is answered 429
 * @param breakerFailures how many failures in a row open an endpoint's breaker
 * @param breakerPauseMillis how long it stays open before a probe
 */
public record TritonOptions(
    List<URI> endpoints,
    long timeoutMillis,
    int retries,
    int maxInFlight,
    int queueSize,
    int breakerFailures,
    long breakerPauseMillis
) {}
