package org.mmsearch.stats;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** A histogram of durations with fixed bounds; recording takes no lock. */
public final class Latency {

    /** The buckets' upper bounds in milliseconds; one more bucket holds what is slower. */
    static final double[] BOUNDS_MILLIS = {
        0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000 };

    private final AtomicLongArray buckets = new AtomicLongArray(BOUNDS_MILLIS.length + 1);
    private final LongAdder nanos = new LongAdder();

    /** @param elapsedNanos a duration in nanoseconds */
    public void record(long elapsedNanos) {
        double millis = elapsedNanos / 1e6;
        int bucket = 0;
        while (bucket < BOUNDS_MILLIS.length && millis > BOUNDS_MILLIS[bucket]) {
            bucket++;
        }
        buckets.incrementAndGet(bucket);
        nanos.add(elapsedNanos);
    }

    /** @return {@code count}, {@code sum_ms}, {@code p50_ms}, {@code p99_ms}, and the cumulative {@code buckets} by their upper bound */
    public Map<String, Object> asMap() {
        return snapshot().asMap();
    }

    /** The counts at this moment. */
    LatencySnapshot snapshot() {
        long[] counts = new long[buckets.length()];
        for (int i = 0; i < counts.length; i++) {
            counts[i] = buckets.get(i);
        }
        return new LatencySnapshot(counts, TimeUnit.NANOSECONDS.toMicros(nanos.sum()));
    }
}
