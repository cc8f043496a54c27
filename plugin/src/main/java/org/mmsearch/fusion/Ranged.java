package org.mmsearch.fusion;

/** A query that knows the range of its own scores. */
public interface Ranged {

    /** Returns the range, before boosts. */
    ScoreRange range();
}
