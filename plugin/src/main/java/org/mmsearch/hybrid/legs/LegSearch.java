package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.function.BooleanSupplier;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.LeafCollector;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.TopScoreDocCollector;
import org.apache.lucene.search.TopScoreDocCollectorManager;
import org.apache.lucene.search.Weight;
import org.opensearch.index.mapper.SeqNoFieldMapper;
import org.opensearch.search.query.QueryPhase;

/**
 * Runs one leg on one shard.
 *
 * <p>Its weight comes from the shard's searcher, so that global statistics, the query cache and the profiler hold for it,
 * but the leaves are walked here: the searcher's own loop skips leaves by the outer request's sort, which would change what a
 * leg finds from page to page.
 */
final class LegSearch {

    /** How many documents are scored between two looks at cancellation. */
    private static final int STRIDE = 1 << 16;

    private LegSearch() {}

    /**
     * @param searcher of the shard
     * @param query the leg
     * @param window how many hits
     * @param overdue asked now and then: whether the search's deadline has passed; may throw to end the search
     * @param late told when the deadline has ended the leg
     * @return the best hits by descending score and then ascending document
     */
    static ScoreDoc[] top(IndexSearcher searcher, Query query, int window, BooleanSupplier overdue, Runnable late) throws IOException {
        if (searcher.getIndexReader().maxDoc() == 0) {
            return new ScoreDoc[0];
        }
        int hits = Math.min(window, searcher.getIndexReader().maxDoc());
        TopScoreDocCollector collector = new TopScoreDocCollectorManager(hits, null, hits).newCollector();
        try {
            Weight weight = searcher.createWeight(searcher.rewrite(query), ScoreMode.TOP_SCORES, 1f);
            collector.setWeight(weight);
            for (LeafReaderContext leaf : searcher.getLeafContexts()) {
                collect(leaf, weight, collector, overdue);
            }
        } catch (QueryPhase.TimeExceededException e) {
            // What was found so far stands.
            late.run();
        }
        return collector.topDocs().scoreDocs;
    }

    private static void collect(LeafReaderContext leaf, Weight weight, TopScoreDocCollector collector, BooleanSupplier overdue)
        throws IOException {
        check(leaf, overdue);
        BulkScorer scorer = weight.bulkScorer(leaf);
        if (scorer == null) {
            return;
        }
        try {
            LeafCollector into = collector.getLeafCollector(leaf);
            int next = 0;
            int max = leaf.reader().maxDoc();
            while (next < max) {
                int end = (int) Math.min((long) next + STRIDE, max);
                next = scorer.score(into, leaf.reader().getLiveDocs(), next, end == max ? DocIdSetIterator.NO_MORE_DOCS : end);
                check(leaf, overdue);
            }
            into.finish();
        } catch (CollectionTerminatedException e) {
            // The collector needs nothing more of this leaf.
        }
    }

    /**
     * The shard's reader looks at cancellation and the deadline before it gives points, but is not wrapped to do so where
     * {@code search.low_level_cancellation} is off.
     */
    private static void check(LeafReaderContext leaf, BooleanSupplier overdue) throws IOException {
        leaf.reader().getPointValues(SeqNoFieldMapper.NAME);
        if (overdue.getAsBoolean()) {
            throw new QueryPhase.TimeExceededException();
        }
    }
}
