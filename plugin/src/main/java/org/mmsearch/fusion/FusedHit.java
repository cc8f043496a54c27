package org.mmsearch.fusion;

/**
 * A hit after fusion.
 *
 * @param key what identifies it in the legs' rankings
 * @param score the combined score
 * @param legs one entry a leg in the legs' order, null where the leg did not find the hit
 */
public record FusedHit(long key, float score, LegScore[] legs) {

    /** @return the position of the only leg that found the hit, or -1 when several did */
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
