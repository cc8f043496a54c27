package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.bounds.QueryRanges;
import org.opensearch.search.query.QueryPhase;

/**
 * Legs as queries of a shard, with the ranges of their scores if the fusion needs them.
 *
 * @param queries the legs
 * @param ranges their ranges, or empty
 */
public record RangedLegs(List<Query> queries, List<ScoreRange> ranges) {

    /**
     * Finds the ranges of legs.
     *
     * @param searcher of the shard
     * @param legs as queries of the shard
     * @param wanted whether the ranges are needed
     * @return the legs, rewritten where their ranges were read from that
     */
    public static RangedLegs of(IndexSearcher searcher, List<Query> legs, boolean wanted) throws IOException {
        if (wanted == false) {
            return new RangedLegs(legs, List.of());
        }
        List<Query> rewritten = new ArrayList<>(legs.size());
        List<ScoreRange> ranges = new ArrayList<>(legs.size());
        for (Query leg : legs) {
            try {
                QueryRanges.Bounded bounded = QueryRanges.of(searcher, searcher.rewrite(leg));
                ranges.add(bounded.range());
                rewritten.add(bounded.query());
            } catch (QueryPhase.TimeExceededException e) {
                // The leg's own search meets the deadline too and reports it.
                ranges.add(ScoreRange.NONE);
                rewritten.add(leg);
            }
        }
        return new RangedLegs(rewritten, ranges);
    }
}
