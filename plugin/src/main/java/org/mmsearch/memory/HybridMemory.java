package org.mmsearch.memory;

/** How many bytes of heap the lists of a hybrid take, reckoned before they are there. */
public final class HybridMemory {

    /** A hit of a leg: its object, its place in an array and in the heap that finds the best. */
    private static final long HIT = 40;
    /** A fused hit: its object, its place in a list and in the table by which it was fused. */
    private static final long FUSED_HIT = 160;
    /** What a fused hit knows of one leg that found it. */
    private static final long LEG_OF_A_HIT = 32;

    private HybridMemory() {}

    /**
     * @param legs how many
     * @param window how many hits of each
     * @param shards how many send such windows, or how many slices of one shard have them
     */
    public static long windows(int legs, long window, int shards) {
        return legs * window * shards * HIT;
    }

    /**
     * @param legs how many
     * @param window how many hits of each are fused, each with no other leg's at worst
     */
    public static long fused(int legs, long window) {
        return legs * window * (FUSED_HIT + LEG_OF_A_HIT);
    }
}
