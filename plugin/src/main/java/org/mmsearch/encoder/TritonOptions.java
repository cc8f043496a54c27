package org.mmsearch.encoder;

import java.net.URI;
import java.util.List;

/**
 * The options for calls to Triton. When a dynamic setting changes, a new object replaces this one.
 *
 * @param endpoints URLs of the servers, such as {@code http://127.0.0.1:8000}; at least one
 * @param timeoutMillis maximum time that a search waits for a vector, in milliseconds
 * @param retries maximum number of retries of a call after a lost connection, a 429 or a 503
 * @param maxInFlight maximum number of calls in flight
 * @param queueSize maximum number of requests for a vector in the queue; further searches fail with 429
 * @param breakerFailures number of consecutive failures that open the breaker of an endpoint
 * @param breakerPauseMillis time that a breaker stays open before a probe, in milliseconds
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
