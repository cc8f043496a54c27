package org.mmsearch.encoder.service;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The vectors of recent queries, the least recently used evicted first when the bytes run out.
 * A key holds the encoder's fingerprint, so that another encoder's vectors are never found.
 */
final class VectorCache {

    private final LinkedHashMap<EncodeKey, float[]> vectors = new LinkedHashMap<>(64, 0.75f, true);
    private long limit;
    private long bytes;
    private long evictions;

    /** @param limit the most heap that the entries may take, in bytes; 0 keeps nothing */
    VectorCache(long limit) {
        this.limit = limit;
    }

    /** The vector, not to be changed, or null. */
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
