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

/** The list of servers and the choice among them: the least busy whose breaker lets the call through. */
final class TritonEndpoints {

    private final LongSupplier nanoTime;
    private final AtomicInteger turn = new AtomicInteger();
    private volatile List<TritonEndpoint> endpoints = List.of();

    TritonEndpoints(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /** Takes the list over; an endpoint that stays keeps its breaker. */
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

    /** Each server with its breaker at this moment. */
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
     * Picks the endpoint for the next attempt and takes its breaker's permission.
     *
     * @param tried those that this call has already tried; taken again only when no other is left
     * @return the endpoint, or null when every breaker is open
     */
    TritonEndpoint pick(Set<TritonEndpoint> tried, long pauseMillis) {
        List<TritonEndpoint> order = new ArrayList<>(endpoints);
        // Rotated first and sorted stably then: among equally busy ones the calls go round.
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

    /** The endpoints whose breaker waits for a probe, their permission taken, except one. */
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
