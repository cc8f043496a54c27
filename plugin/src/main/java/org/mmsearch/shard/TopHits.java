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
 * Collects the top hits of a query on one shard, in the slices of the surrounding search.
 *
 * <p>The shard's searcher creates the weight, so global statistics, the query cache and the profiler apply. The leaves are
 * iterated here, because the searcher skips leaves by the sort of the outer request, which would change the hits from page to page.
 */
public final class TopHits {

    /** Number of documents scored between two checks for cancellation. */
    private static final int STRIDE = 1 << 16;

    private TopHits() {}

    /**
     * Returns the slices to search: the searcher's if this search is concurrent ({@code search.concurrent_segment_search}), one if it is
     * not or is profiled, none if the shard is empty.
     *
     * @param searcher the searcher of the shard
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
        if (!(searcher instanceof ContextIndexSearcher)) {
            return true;
        }
        if (SearchContexts.profiled(searcher)) {
            return false;
        }
        SearchContext search = SearchContexts.of(searcher);
        // Explain and validate have no request body and have not decided whether to search concurrently.
        return search != null
            && search.request() != null
            && search.request().source() != null
            && search.shouldUseConcurrentSearch();
    }

    /**
     * Returns the top hits by descending score and ascending document. They do not depend on the slices.
     *
     * @param searcher the searcher of the shard
     * @param slices the result of {@link #slices}; several are searched concurrently by the searcher's executor and the caller
     * @param query the query
     * @param window the maximum number of hits
     * @param overdue whether the search's deadline has passed; called regularly by any thread, may throw to end the search
     * @param late called by any thread when the deadline has ended the search
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
        // The caller executes tasks too, so it never waits for a task that no thread has started. It may be an executor thread itself.
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
            // The hits collected so far are kept.
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
            // The collector is done with this leaf.
        }
    }

    /**
     * Checks cancellation and the deadline. Reading points does so in the shard's reader, except if
     * {@code search.low_level_cancellation} is off.
     */
    private static void check(LeafReaderContext leaf, BooleanSupplier overdue) throws IOException {
        leaf.reader().getPointValues(SeqNoFieldMapper.NAME);
        if (overdue.getAsBoolean()) {
            throw new QueryPhase.TimeExceededException();
        }
    }
}
