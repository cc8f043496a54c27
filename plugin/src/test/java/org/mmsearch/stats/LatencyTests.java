package org.mmsearch.stats;

import java.util.Map;
import java.util.concurrent.TimeUnit;

import org.opensearch.test.OpenSearchTestCase;

public class LatencyTests extends OpenSearchTestCase {

    public void testQuantilesLieInTheirBuckets() {
        Latency latency = new Latency();
        for (int i = 0; i < 98; i++) {
            latency.record(TimeUnit.MICROSECONDS.toNanos(1500));
        }
        latency.record(TimeUnit.MILLISECONDS.toNanos(200));
        latency.record(TimeUnit.MILLISECONDS.toNanos(200));
        LatencySnapshot snapshot = latency.snapshot();
        assertEquals(100, snapshot.count());
        // Rank 50 of the 98 in the bucket from 1 to 2 ms.
        assertEquals(1 + 50 / 98.0, snapshot.quantileMillis(0.5), 1e-9);
        // Rank 1 of 2 in the bucket from 100 to 250 ms.
        assertEquals(175, snapshot.quantileMillis(0.99), 1e-9);
        assertEquals(547.0, snapshot.asMap().get("sum_ms"));
        Map<?, ?> buckets = (Map<?, ?>) snapshot.asMap().get("buckets");
        assertEquals(0L, buckets.get("1.0"));
        assertEquals(98L, buckets.get("2.0"));
        assertEquals(98L, buckets.get("100.0"));
        assertEquals(100L, buckets.get("250.0"));
    }

    public void testNothingRecorded() {
        assertEquals(0, new Latency().snapshot().quantileMillis(0.5), 0);
    }

    public void testSlowerThanTheLastBound() {
        Latency latency = new Latency();
        latency.record(TimeUnit.MINUTES.toNanos(1));
        assertEquals(10_000, latency.snapshot().quantileMillis(0.5), 0);
    }
}
