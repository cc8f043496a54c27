package org.mmsearch.stats;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** A lock-free histogram of durations with fixed buckets. */
public final class Latency {

    /** Upper bounds of the buckets in milliseconds. One more bucket holds longer durations. */
    static final double[] BOUNDS_MILLIS = {
        0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000 };

    private final AtomicLongArray buckets = new AtomicLongArray(BOUNDS_MILLIS.length + 1);
    private final LongAdder nanos = new LongAdder();

    /**
     * Records a duration.
     *
     * @param elapsedNanos nanoseconds
     */
    public void record(long elapsedNanos) {
        double millis = elapsedNanos / 1e6;
        int bucket = 0;
        while (bucket < BOUNDS_MILLIS.length && millis > BOUNDS_MILLIS[bucket]) {
            bucket++;
        }
        buckets.incrementAndGet(bucket);
        nanos.add(elapsedNanos);
    }

    /** Returns {@code count}, {@code sum_ms}, {@code p50_ms}, {@code p99_ms}, and the cumulative {@code buckets} by upper bound. */
    public Map<String, Object> asMap() {
        return snapshot().asMap();
    }

    /** Returns a copy of the counts. */
    LatencySnapshot snapshot() {
        long[] counts = new long[buckets.length()];
        for (int i = 0; i < counts.length; i++) {
            counts[i] = buckets.get(i);
        }
        return new LatencySnapshot(counts, TimeUnit.NANOSECONDS.toMicros(nanos.sum()));
    }
}
