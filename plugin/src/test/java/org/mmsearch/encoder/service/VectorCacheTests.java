package org.mmsearch.encoder.service;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.test.OpenSearchTestCase;

public class VectorCacheTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("m", "1", "EMBEDDING", "f1", 2);

    public void testTheLeastRecentlyAskedForGoesFirst() {
        long each = key("a").weight();
        VectorCache cache = new VectorCache(2 * each);
        cache.put(key("a"), new float[] { 1 });
        cache.put(key("b"), new float[] { 2 });
        assertEquals(1f, cache.get(key("a"))[0], 0f);
        cache.put(key("c"), new float[] { 3 });
        assertNull(cache.get(key("b")));
        assertEquals(1f, cache.get(key("a"))[0], 0f);
        assertEquals(2 * each, cache.bytes());
        assertEquals(1, cache.evictions());
    }

    public void testZeroKeepsNothing() {
        VectorCache cache = new VectorCache(0);
        cache.put(key("a"), new float[] { 1 });
        assertNull(cache.get(key("a")));
        assertEquals(0, cache.bytes());
    }

    public void testLoweringTheLimitGivesUpEntries() {
        VectorCache cache = new VectorCache(10_000);
        cache.put(key("a"), new float[] { 1 });
        cache.limit(0);
        assertEquals(0, cache.entries());
        assertEquals(0, cache.bytes());
    }

    public void testAnotherFingerprintIsAnotherKey() {
        VectorCache cache = new VectorCache(10_000);
        cache.put(key("a"), new float[] { 1 });
        EncoderModel other = new EncoderModel("m", "1", "EMBEDDING", "f2", 2);
        assertNull(cache.get(EncodeKey.of(other, EncoderInput.of("a", null))));
    }

    private static EncodeKey key(String text) {
        return EncodeKey.of(MODEL, EncoderInput.of(text, null));
    }
}
