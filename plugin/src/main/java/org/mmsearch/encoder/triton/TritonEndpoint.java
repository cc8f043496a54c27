package org.mmsearch.encoder.triton;

import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;

/** One server of the list: where it is, what its breaker says, and how many calls it has under way. */
final class TritonEndpoint {

    final URI root;
    final EndpointBreaker breaker;
    final AtomicInteger inFlight = new AtomicInteger();

    TritonEndpoint(URI root, LongSupplier nanoTime) {
        this.root = root;
        this.breaker = new EndpointBreaker(nanoTime);
    }

    URI resolve(String path) {
        String base = root.toString();
        return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
    }
}
