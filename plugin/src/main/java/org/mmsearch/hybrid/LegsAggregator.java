package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.mmsearch.visibility.OuterFilter;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.index.mapper.SeqNoFieldMapper;
import org.opensearch.search.SearchService;
import org.opensearch.search.aggregations.Aggregator;
import org.opensearch.search.aggregations.InternalAggregation;
import org.opensearch.search.aggregations.LeafBucketCollector;
import org.opensearch.search.aggregations.metrics.MetricsAggregator;
import org.opensearch.search.internal.SearchContext;

/** Runs the legs on a shard, once, and reports their best hits. It collects no document of the query it stands under. */
final class LegsAggregator extends MetricsAggregator {

    private static final LegHits NOTHING = new LegHits(new int[0], new long[0], new int[0], new float[0]);

    private final LegSearches searches;
    private final List<Query> legs;
    private final int window;
    private final long begin;
    private List<LegHits> found;

    LegsAggregator(
        String name,
        SearchContext context,
        Aggregator parent,
        Map<String, Object> metadata,
        LegSearches searches,
        List<Query> legs,
        int window
    ) throws IOException {
        super(name, context, parent, metadata);
        this.searches = searches;
        this.legs = legs;
        this.window = window;
        this.begin = context.getRelativeTimeInMillis();
    }

    @Override
    public ScoreMode scoreMode() {
        return ScoreMode.COMPLETE_NO_SCORES;
    }

    @Override
    protected LeafBucketCollector getLeafCollector(LeafReaderContext leaf, LeafBucketCollector sub) throws IOException {
        // The first leaf is where the search's deadline and cancellation begin to hold.
        if (found == null) {
            found = run();
        }
        throw new CollectionTerminatedException();
    }

    private List<LegHits> run() throws IOException {
        // The search above collects nothing and, on a shard of one segment, never looks at the clock again.
        Runnable late = () -> context.setSearchTimedOut(true);
        Query outer = OuterFilter.of(context);
        List<Query> filtered = new ArrayList<>(legs.size());
        for (Query leg : legs) {
            // What a top-level search would add: the alias's filter, security's rules, and root documents only.
            filtered.add(context.buildFilteredQuery(OuterFilter.on(leg, outer)));
        }
        List<LegHits> hits = new ArrayList<>(legs.size());
        for (ScoreDoc[] top : searches.top(context.searcher(), filtered, window, this::overdue, late)) {
            hits.add(handles(top));
        }
        return hits;
    }

    private boolean overdue() {
        if (context.isCancelled()) {
            throw new TaskCancelledException("the search was cancelled while a leg of its hybrid ran");
        }
        TimeValue timeout = context.timeout();
        return timeout != null
            && SearchService.NO_TIMEOUT.equals(timeout) == false
            && context.getRelativeTimeInMillis() - begin > timeout.millis();
    }

    private LegHits handles(ScoreDoc[] top) throws IOException {
        IndexReader reader = context.searcher().getIndexReader();
        long[] seqNos = new long[top.length];
        int[] docs = new int[top.length];
        float[] scores = new float[top.length];
        Integer[] byDoc = new Integer[top.length];
        for (int i = 0; i < top.length; i++) {
            docs[i] = top[i].doc;
            scores[i] = top[i].score;
            byDoc[i] = i;
        }
        Arrays.sort(byDoc, Comparator.comparingInt(i -> docs[i]));
        LeafReaderContext leaf = null;
        NumericDocValues values = null;
        for (int i : byDoc) {
            if (leaf == null || docs[i] >= leaf.docBase + leaf.reader().maxDoc()) {
                leaf = reader.leaves().get(ReaderUtil.subIndex(docs[i], reader.leaves()));
                values = leaf.reader().getNumericDocValues(SeqNoFieldMapper.NAME);
            }
            if (values == null || values.advanceExact(docs[i] - leaf.docBase) == false) {
                throw new IllegalStateException("document [" + docs[i] + "] of " + context.shardTarget() + " has no sequence number");
            }
            seqNos[i] = values.longValue();
        }
        return new LegHits(new int[top.length], seqNos, docs, scores);
    }

    @Override
    public InternalAggregation buildAggregation(long owningBucketOrd) {
        List<LegHits> hits = found == null ? Collections.nCopies(legs.size(), NOTHING) : found;
        return new InternalLegs(name, metadata(), window, List.of(context.shardTarget().getShardId()), hits);
    }

    @Override
    public InternalAggregation buildEmptyAggregation() {
        return new InternalLegs(name, metadata(), window, List.of(), Collections.nCopies(legs.size(), NOTHING));
    }
}
