package org.mmsearch.encoder.triton;

import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** One server of the list: where it is, what its breaker says, and how many calls it has under way. */
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

    /** Keeps what went wrong here last, and logs it where it is another thing than before. */
    void failed(String words) {
        if (words.equals(lastFailure) == false) {
            lastFailure = words;
            log.warn("Triton at [{}]: {}", root, words);
        }
    }

    /** What went wrong here last, or null. */
    String lastFailure() {
        return lastFailure;
    }

    URI resolve(String path) {
        String base = root.toString();
        return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
    }
}
