package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An immutable copy of a {@link Latency} histogram.
 *
 * @param buckets one count per {@link Latency#BOUNDS_MILLIS}, and one for longer durations
 * @param sumMicros sum of the durations in microseconds
 */
record LatencySnapshot(long[] buckets, long sumMicros) {

    long count() {
        long count = 0;
        for (long bucket : buckets) {
            count += bucket;
        }
        return count;
    }

    /**
     * Returns a quantile, interpolated linearly within its bucket.
     *
     * @param q from 0 to 1
     * @return milliseconds; 0 if nothing was recorded; the last bound if the quantile exceeds it
     */
    double quantileMillis(double q) {
        double rank = q * count();
        double below = 0;
        for (int i = 0; i < Latency.BOUNDS_MILLIS.length; i++) {
            if (buckets[i] > 0 && below + buckets[i] >= rank) {
                double floor = i == 0 ? 0 : Latency.BOUNDS_MILLIS[i - 1];
                return floor + (Latency.BOUNDS_MILLIS[i] - floor) * (rank - below) / buckets[i];
            }
            below += buckets[i];
        }
        return count() == 0 ? 0 : Latency.BOUNDS_MILLIS[Latency.BOUNDS_MILLIS.length - 1];
    }

    /** Returns {@code count}, {@code sum_ms}, {@code p50_ms}, {@code p99_ms}, and the cumulative {@code buckets} by upper bound. */
    Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("count", count());
        map.put("sum_ms", sumMicros / 1000.0);
        map.put("p50_ms", quantileMillis(0.5));
        map.put("p99_ms", quantileMillis(0.99));
        Map<String, Object> cumulative = new LinkedHashMap<>();
        long below = 0;
        for (int i = 0; i < Latency.BOUNDS_MILLIS.length; i++) {
            below += buckets[i];
            cumulative.put(Double.toString(Latency.BOUNDS_MILLIS[i]), below);
        }
        map.put("buckets", cumulative);
        return map;
    }
}
