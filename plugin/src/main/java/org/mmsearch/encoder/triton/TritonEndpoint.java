package org.mmsearch.encoder.triton;

import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** One Triton server with its URL, its circuit breaker and its number of calls in flight. */
final class TritonEndpoint {

    private static final Logger log = LogManager.getLogger(TritonEndpoint.class);

    final URI root;
    final EndpointBreaker breaker;
    final AtomicInteger inFlight = new AtomicInteger();
    private volatile String lastFailure;

    TritonEndpoint(URI root, LongSupplier nanoTime) {
        this.root = root;
        this.breaker = new EndpointBreaker(nanoTime);
    }

    /** Stores the message of a failure and logs it if it differs from the previous one. */
    void failed(String words) {
        if (words.equals(lastFailure) == false) {
            lastFailure = words;
            log.warn("Triton at [{}]: {}", root, words);
        }
    }

    /** Returns the message of the last failure, or null. */
    String lastFailure() {
        return lastFailure;
    }

    /** Returns the URL of a path on this server. */
    URI resolve(String path) {
        String base = root.toString();
        return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
    }
}
