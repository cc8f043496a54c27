package org.mmsearch.memory;

/** Estimates the heap that the hits of a hybrid use, in bytes, before they are allocated. */
public final class HybridMemory {

    /** Bytes per hit of a leg: the object and its entries in an array and in the priority queue. */
    private static final long HIT = 40;
    /** Bytes per fused hit: the object and its entries in a list and in the hash map of the fusion. */
    private static final long FUSED_HIT = 160;
    /** Bytes per leg of a fused hit: its rank and scores. */
    private static final long LEG_OF_A_HIT = 32;

    private HybridMemory() {}

    /**
     * Estimates the heap for the windows of all shards.
     *
     * @param legs the number of legs
     * @param window the number of hits per leg and shard
     * @param shards the number of shards
     * @return bytes
     */
    public static long windows(int legs, long window, int shards) {
        return legs * window * shards * HIT;
    }

    /**
     * Estimates the heap for the fused hits. Assumes the worst case, in which no two legs have a hit in common.
     *
     * @param legs the number of legs
     * @param window the number of hits per leg
     * @return bytes
     */
    public static long fused(int legs, long window) {
        return legs * window * (FUSED_HIT + LEG_OF_A_HIT);
    }
}
