package org.mmsearch.fusion;

/**
 * A hit after fusion.
 *
 * @param key the key of the hit in the legs' rankings
 * @param score the combined score
 * @param legs one entry per leg, in the legs' order; null if the leg did not find the hit
 */
public record FusedHit(long key, float score, LegScore[] legs) {

    /** Returns the position of the leg that found the hit if there is exactly one, otherwise -1. */
    public int onlyLeg() {
        int only = -1;
        for (int i = 0; i < legs.length; i++) {
            if (legs[i] != null) {
                if (only >= 0) {
                    return -1;
                }
                only = i;
            }
        }
        return only;
    }
}
