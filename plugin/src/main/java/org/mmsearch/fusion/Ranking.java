package org.mmsearch.fusion;

/**
 * The hits of one leg, best first.
 *
 * @param keys one key per hit; a document has the same key in all legs
 * @param scores one raw score per hit, in descending order
 */
public record Ranking(long[] keys, float[] scores) {

    /** A ranking without hits. */
    public static final Ranking EMPTY = new Ranking(new long[0], new float[0]);

    public Ranking {
        if (keys.length != scores.length) {
            throw new IllegalArgumentException("expected one score per key, got " + scores.length + " for " + keys.length);
        }
    }

    /** Returns the number of hits. */
    public int size() {
        return keys.length;
    }
}
