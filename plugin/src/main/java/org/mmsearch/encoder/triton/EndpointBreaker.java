package org.mmsearch.encoder.triton;

import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * A circuit breaker that stops calls to a failing endpoint. It is closed initially and permits all calls. After a number of consecutive
 * failures it opens and permits none. After a pause it is half open and permits one call as a probe, whose result closes or reopens it.
 * Every permitted call must be followed by exactly one of {@link #succeeded}, {@link #failed} and {@link #undecided}.
 */
final class EndpointBreaker {

    /** The state of a breaker. */
    enum State {
        CLOSED,
        OPEN,
        HALF_OPEN;

        /** Returns the name in the stats. */
        String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final LongSupplier nanoTime;
    private int failures;
    private boolean open;
    private boolean probing;
    private long openedAt;
    private long opened;

    /** @param nanoTime a monotonic clock in nanoseconds */
    EndpointBreaker(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /**
     * Requests permission for one call.
     *
     * @param pauseMillis how long the breaker stays open before it permits a probe, in milliseconds
     * @return whether the call is permitted
     */
    synchronized boolean permits(long pauseMillis) {
        if (open == false) {
            return true;
        }
        if (probing || waitMillis(pauseMillis) > 0) {
            return false;
        }
        probing = true;
        return true;
    }

    /** Records a successful call and closes the breaker. */
    synchronized void succeeded() {
        failures = 0;
        open = false;
        probing = false;
    }

    /**
     * Records a failed call.
     *
     * @param threshold number of consecutive failures that open the breaker
     */
    synchronized void failed(int threshold) {
        failures++;
        probing = false;
        if (open || failures >= threshold) {
            if (open == false) {
                opened++;
            }
            open = true;
            openedAt = nanoTime.getAsLong();
        }
    }

    /** Records a call whose result says nothing about the endpoint, such as a cancelled one. */
    synchronized void undecided() {
        probing = false;
    }

    /** Returns the current state. */
    synchronized State state(long pauseMillis) {
        if (open == false) {
            return State.CLOSED;
        }
        return probing || waitMillis(pauseMillis) <= 0 ? State.HALF_OPEN : State.OPEN;
    }

    /** Returns the time until the next probe is permitted, in milliseconds; 0 or less if it is permitted now. */
    synchronized long waitMillis(long pauseMillis) {
        return open ? pauseMillis - TimeUnit.NANOSECONDS.toMillis(nanoTime.getAsLong() - openedAt) : 0;
    }

    /** Returns how often the breaker has opened. */
    synchronized long opened() {
        return opened;
    }
}
