package org.mmsearch.fusion;

import java.io.IOException;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * The scores that a query can reach on a shard, whatever its documents.
 *
 * @param low the score of a document that has nothing to do with the query
 * @param high the greatest score; NaN if it is unknown
 */
public record ScoreRange(float low, float high) implements Writeable {

    /** The range of a query whose greatest score is unknown. */
    public static final ScoreRange NONE = new ScoreRange(0, Float.NaN);

    /** Reads a range from a stream. */
    public ScoreRange(StreamInput in) throws IOException {
        this(in.readFloat(), in.readFloat());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeFloat(low);
        out.writeFloat(high);
    }

    /** Returns whether the greatest score is known. */
    public boolean known() {
        return Float.isNaN(high) == false;
    }

    /** Returns this range with the bounds that the user specifies, where they are not null and not ignored. */
    ScoreRange within(Bound lower, Bound upper) {
        return new ScoreRange(
            lower == null || lower.mode() == Bound.Mode.IGNORE ? low : lower.score(),
            upper == null || upper.mode() == Bound.Mode.IGNORE ? high : upper.score()
        );
    }

    /** Returns the range of the same query with a boost. */
    public ScoreRange times(float boost) {
        return known() ? new ScoreRange(low * boost, high * boost) : NONE;
    }

    /**
     * Returns where a score lies in this range.
     *
     * @param score a score, in 32-bit precision
     * @return (score − low) / (high − low), from 0 to 1; 1 if the range is empty
     */
    public double share(float score) {
        if (high <= low) {
            return 1;
        }
        return Math.clamp(((double) score - low) / ((double) high - low), 0, 1);
    }
}
