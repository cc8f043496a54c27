package org.mmsearch.fusion;

import java.util.Arrays;

/**
 * The hits of one leg, best first.
 *
 * @param keys one key per hit; a document has the same key in all legs
 * @param scores one raw score per hit, in descending order
 * @param ranges the range of each hit's score on its shard; null if that of some hit is unknown or none is needed
 */
public record Ranking(long[] keys, float[] scores, ScoreRange[] ranges) {

    /** A ranking without hits. */
    public static final Ranking EMPTY = new Ranking(new long[0], new float[0]);

    public Ranking {
        if (keys.length != scores.length || ranges != null && ranges.length != scores.length) {
            throw new IllegalArgumentException(
                "expected one score per key and one range or none, got " + scores.length + " scores for " + keys.length
            );
        }
    }

    /** Creates a ranking whose ranges are unknown. */
    public Ranking(long[] keys, float[] scores) {
        this(keys, scores, (ScoreRange[]) null);
    }

    /** Creates a ranking whose scores all have the same range, which may be unknown. */
    public Ranking(long[] keys, float[] scores, ScoreRange range) {
        this(keys, scores, range.known() ? all(range, scores.length) : null);
    }

    private static ScoreRange[] all(ScoreRange range, int hits) {
        ScoreRange[] ranges = new ScoreRange[hits];
        Arrays.fill(ranges, range);
        return ranges;
    }

    /** Returns the number of hits. */
    public int size() {
        return keys.length;
    }
}
