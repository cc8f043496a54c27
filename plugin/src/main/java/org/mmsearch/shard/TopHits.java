package org.mmsearch.shard;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.IndexSearcher.LeafReaderContextPartition;
import org.apache.lucene.search.IndexSearcher.LeafSlice;
import org.apache.lucene.search.LeafCollector;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.TopScoreDocCollector;
import org.apache.lucene.search.TopScoreDocCollectorManager;
import org.apache.lucene.search.Weight;
import org.opensearch.index.mapper.SeqNoFieldMapper;
import org.opensearch.search.internal.ContextIndexSearcher;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.search.profile.query.ProfileWeight;
import org.opensearch.search.query.QueryPhase;

/**
 * Finds the best hits of a query on one shard, in the slices of the search that the query is a part of.
 *
 * <p>The weight comes from the shard's searcher, so that global statistics, the query cache and the profiler hold for it,
 * but the leaves are walked here: the searcher's own loop skips leaves by the outer request's sort, which would change what a
 * query finds from page to page.
 */
public final class TopHits {

    /** How many documents are scored between two looks at cancellation. */
    private static final int STRIDE = 1 << 16;

    private TopHits() {}

    /**
     * @param searcher of a shard
     * @return what the threads of its search take one each: several where {@code search.concurrent_segment_search} has this search run at
     *     the same time in several, one where it runs in one thread or is profiled, none where the shard is empty
     */
    public static LeafSlice[] slices(IndexSearcher searcher) throws IOException {
        List<LeafReaderContext> leaves = searcher.getLeafContexts();
        if (leaves.isEmpty()) {
            return new LeafSlice[0];
        }
        return leaves.size() > 1 && concurrent(searcher)
            ? searcher.getSlices()
            : new LeafSlice[] { new LeafSlice(leaves.stream().map(LeafReaderContextPartition::createForEntireSegment).toList()) };
    }

    private static boolean concurrent(IndexSearcher searcher) throws IOException {
        if (!(searcher instanceof ContextIndexSearcher shard)) {
            return true;
        }
        // A profile is kept by one thread.
        if (shard.getProfiler() != null) {
            return false;
        }
        SearchContext search = SearchContexts.of(searcher);
        // Only a search with a body has decided; what explains or validates a query has not, and must not be asked.
        return search != null
            && search.request() != null
            && search.request().source() != null
            && search.shouldUseConcurrentSearch();
    }

    /**
     * @param searcher of the shard
     * @param slices as {@link #slices} gives them; several are searched at the same time, by the searcher's own threads and the caller's
     * @param query of the shard
     * @param window how many hits
     * @param overdue asked now and then, by any thread: whether the search's deadline has passed; may throw to end the search
     * @param late told, by any thread, when the deadline has ended the search
     * @return the best hits by descending score and then ascending document, whatever the slices
     */
    public static ScoreDoc[] of(
        IndexSearcher searcher,
        LeafSlice[] slices,
        Query query,
        int window,
        BooleanSupplier overdue,
        Runnable late
    ) throws IOException {
        if (slices.length == 0) {
            return new ScoreDoc[0];
        }
        int hits = Math.min(window, searcher.getIndexReader().maxDoc());
        TopScoreDocCollectorManager manager = new TopScoreDocCollectorManager(hits, null, hits);
        Weight weight;
        try {
            weight = searcher.createWeight(searcher.rewrite(query), ScoreMode.TOP_SCORES, 1f);
        } catch (QueryPhase.TimeExceededException e) {
            late.run();
            return new ScoreDoc[0];
        }
        if (slices.length == 1) {
            return collected(slices[0], weight, manager.newCollector(), overdue, late).topDocs().scoreDocs;
        }
        List<Callable<TopScoreDocCollector>> tasks = new ArrayList<>(slices.length);
        for (LeafSlice slice : slices) {
            TopScoreDocCollector collector = manager.newCollector();
            tasks.add(() -> collected(slice, weight, collector, overdue, late));
        }
        // The caller takes tasks too, so that it never waits for one that no thread has begun: it may be one of these threads itself.
        return manager.reduce(searcher.getTaskExecutor().invokeAll(tasks)).scoreDocs;
    }

    private static TopScoreDocCollector collected(
        LeafSlice slice,
        Weight weight,
        TopScoreDocCollector collector,
        BooleanSupplier overdue,
        Runnable late
    ) throws IOException {
        collector.setWeight(weight);
        try {
            for (LeafReaderContextPartition part : slice.partitions) {
                collect(part, weight, collector, overdue);
            }
        } catch (QueryPhase.TimeExceededException e) {
            // What was found so far stands.
            late.run();
        }
        return collector;
    }

    private static void collect(LeafReaderContextPartition part, Weight weight, TopScoreDocCollector collector, BooleanSupplier overdue)
        throws IOException {
        LeafReaderContext leaf = part.ctx;
        check(leaf, overdue);
        if (weight instanceof ProfileWeight profiled) {
            profiled.associateCollectorToLeaves(leaf, collector);
        }
        BulkScorer scorer = weight.bulkScorer(leaf);
        if (scorer == null) {
            return;
        }
        try {
            LeafCollector into = collector.getLeafCollector(leaf);
            int next = part.minDocId;
            int last = leaf.reader().maxDoc();
            int max = Math.min(part.maxDocId, last);
            while (next < max) {
                int end = (int) Math.min((long) next + STRIDE, max);
                next = scorer.score(into, leaf.reader().getLiveDocs(), next, end == last ? DocIdSetIterator.NO_MORE_DOCS : end);
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
