package org.mmsearch.stats;

/**
 * A histogram at one moment.
 *
 * @param buckets counts by {@link Latency#BOUNDS_MILLIS}, the last one without an upper bound
 * @param sumMicros the durations' sum in microseconds
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
     * A quantile, interpolated inside its bucket.
     *
     * @param q from 0 to 1
     * @return milliseconds; 0 when nothing was recorded, the last bound when the quantile lies above it
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
}
