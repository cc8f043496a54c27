package org.mmsearch.encoder.service;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An LRU cache of query vectors, limited in bytes. A key contains the encoder's fingerprint, so a changed encoder never returns old
 * vectors.
 */
final class VectorCache {

    private final LinkedHashMap<EncodeKey, float[]> vectors = new LinkedHashMap<>(64, 0.75f, true);
    private long limit;
    private long bytes;
    private long evictions;

    /** @param limit the maximum heap of all entries in bytes; 0 disables the cache */
    VectorCache(long limit) {
        this.limit = limit;
    }

    /** Returns the vector, which must not be modified, or null. */
    synchronized float[] get(EncodeKey key) {
        return limit == 0 ? null : vectors.get(key);
    }

    synchronized void put(EncodeKey key, float[] vector) {
        if (key.weight() > limit) {
            return;
        }
        if (vectors.put(key, vector) == null) {
            bytes += key.weight();
        }
        evict();
    }

    synchronized void limit(long limit) {
        this.limit = limit;
        evict();
    }

    synchronized int entries() {
        return vectors.size();
    }

    synchronized long bytes() {
        return bytes;
    }

    synchronized long limit() {
        return limit;
    }

    synchronized long evictions() {
        return evictions;
    }

    private void evict() {
        var eldest = vectors.entrySet().iterator();
        while (bytes > limit && eldest.hasNext()) {
            Map.Entry<EncodeKey, float[]> entry = eldest.next();
            bytes -= entry.getKey().weight();
            eldest.remove();
            evictions++;
        }
    }
}
