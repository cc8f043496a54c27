package org.mmsearch.encoder.triton;

import java.net.URI;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;

import org.mmsearch.encoder.EncoderState;

/** The list of endpoints and their load balancing: a call goes to the endpoint with the fewest calls in flight whose breaker permits it. */
final class TritonEndpoints {

    private final LongSupplier nanoTime;
    private final AtomicInteger turn = new AtomicInteger();
    private volatile List<TritonEndpoint> endpoints = List.of();

    TritonEndpoints(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /** Replaces the list. Endpoints in both lists keep their breakers. */
    synchronized void update(List<URI> roots) {
        List<TritonEndpoint> kept = endpoints;
        List<TritonEndpoint> next = new ArrayList<>();
        for (URI root : roots) {
            next.add(
                kept.stream().filter(e -> e.root.equals(root)).findFirst().orElseGet(() -> new TritonEndpoint(root, nanoTime))
            );
        }
        endpoints = List.copyOf(next);
    }

    List<TritonEndpoint> all() {
        return endpoints;
    }

    /** Returns the current state of each endpoint. */
    List<EncoderState.Endpoint> states(long pauseMillis) {
        return endpoints.stream()
            .map(
                e -> new EncoderState.Endpoint(
                    e.root.toString(),
                    e.breaker.state(pauseMillis).label(),
                    e.breaker.opened(),
                    e.inFlight.get(),
                    e.lastFailure()
                )
            )
            .toList();
    }

    /**
     * Selects the endpoint for the next attempt and obtains the permission of its breaker.
     *
     * @param tried endpoints that the call has already tried; selected only if no other is permitted
     * @param pauseMillis how long a breaker stays open before it permits a probe, in milliseconds
     * @return the endpoint, or null if no breaker permits the call
     */
    TritonEndpoint pick(Set<TritonEndpoint> tried, long pauseMillis) {
        List<TritonEndpoint> order = new ArrayList<>(endpoints);
        // Rotate, then sort stably: round robin among equally busy endpoints.
        Collections.rotate(order, -Math.floorMod(turn.getAndIncrement(), Math.max(1, order.size())));
        order.sort(
            Comparator.<TritonEndpoint, Boolean>comparing(tried::contains)
                .thenComparing(e -> e.breaker.state(pauseMillis))
                .thenComparingInt(e -> e.inFlight.get())
        );
        for (TritonEndpoint endpoint : order) {
            if (endpoint.breaker.permits(pauseMillis)) {
                return endpoint;
            }
        }
        return null;
    }

    /** Returns the endpoints, except one, that are due for a probe. Their breakers have permitted it. */
    List<TritonEndpoint> probes(TritonEndpoint except, long pauseMillis) {
        List<TritonEndpoint> due = null;
        for (TritonEndpoint endpoint : endpoints) {
            if (endpoint != except
                && endpoint.breaker.state(pauseMillis) == EndpointBreaker.State.HALF_OPEN
                && endpoint.breaker.permits(pauseMillis)) {
                due = due == null ? new ArrayList<>() : due;
                due.add(endpoint);
            }
        }
        return due == null ? List.of() : due;
    }
}
