package org.mmsearch.fusion;

/**
 * What one leg found, best first.
 *
 * @param keys what identifies each hit, equal in every leg for one document
 * @param scores the raw score of each hit, as long as keys, not increasing
 */
public record Ranking(long[] keys, float[] scores) {

    /** A leg that found nothing. */
    public static final Ranking EMPTY = new Ranking(new long[0], new float[0]);

    public Ranking {
        if (keys.length != scores.length) {
            throw new IllegalArgumentException("expected one score for each key, got " + scores.length + " for " + keys.length);
        }
    }

    /** @return how many hits the leg has */
    public int size() {
        return keys.length;
    }
}
