package org.mmsearch.encoder.triton;

import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Keeps calls away from an endpoint that keeps failing. Closed: calls go through. Open, after a number of failures in
 * a row: none does. Half open, after a pause: one call goes through as a probe, and its outcome closes or reopens.
 * Every call that was let through ends in exactly one of {@link #succeeded}, {@link #failed} and {@link #undecided}.
 */
final class EndpointBreaker {

    /** What the breaker does with the next call. */
    enum State {
        CLOSED,
        OPEN,
        HALF_OPEN;

        /** The name in the stats. */
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
     * Asks to make one call.
     *
     * @param pauseMillis how long the breaker stays open before it lets a probe through
     * @return whether the call may be made
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

    synchronized void succeeded() {
        failures = 0;
        open = false;
        probing = false;
    }

    /** @param threshold how many failures in a row open the breaker */
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

    /** The call ended without telling anything about the endpoint, for instance cancelled. */
    synchronized void undecided() {
        probing = false;
    }

    synchronized State state(long pauseMillis) {
        if (open == false) {
            return State.CLOSED;
        }
        return probing || waitMillis(pauseMillis) <= 0 ? State.HALF_OPEN : State.OPEN;
    }

    /** How long it takes until the next probe, in milliseconds; 0 or less when it may go now. */
    synchronized long waitMillis(long pauseMillis) {
        return open ? pauseMillis - TimeUnit.NANOSECONDS.toMillis(nanoTime.getAsLong() - openedAt) : 0;
    }

    /** How often the breaker has opened. */
    synchronized long opened() {
        return opened;
    }
}
