package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.opensearch.search.aggregations.Aggregator;
import org.opensearch.search.aggregations.InternalAggregation;
import org.opensearch.search.aggregations.LeafBucketCollector;
import org.opensearch.search.aggregations.metrics.MetricsAggregator;
import org.opensearch.search.approximate.ApproximateScoreQuery;
import org.opensearch.search.internal.SearchContext;

/** Runs the legs on a shard, once, and reports their best hits. It collects no document of the query it stands under. */
final class LegsAggregator extends MetricsAggregator {

    private final ShardLegs legs;
    private final int count;
    private LegWindows found;

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
        this.legs = new ShardLegs(searches, context, legs, window);
        count = legs.size();
    }

    @Override
    public ScoreMode scoreMode() {
        return ScoreMode.COMPLETE_NO_SCORES;
    }

    @Override
    protected LeafBucketCollector getLeafCollector(LeafReaderContext leaf, LeafBucketCollector sub) throws IOException {
        // The first leaf is where the search's deadline and cancellation begin to hold.
        if (found == null) {
            // The carrier matches everything, so what it is wrapped in is what others restrict the search to.
            Query filter = all(context.query()) ? null : context.query();
            // The search above collects nothing and, on a shard of one segment, never looks at the clock again.
            found = legs.run(filter, () -> context.setSearchTimedOut(true));
        }
        throw new CollectionTerminatedException();
    }

    private static boolean all(Query carrier) {
        Query query = carrier instanceof ApproximateScoreQuery approximated ? approximated.getOriginalQuery() : carrier;
        return query instanceof MatchAllDocsQuery;
    }

    @Override
    public InternalAggregation buildAggregation(long owningBucketOrd) {
        LegWindows windows = found == null
            ? new LegWindows(ReaderToken.of(context.searcher().getIndexReader()), Collections.nCopies(count, new ScoreDoc[0]))
            : found;
        return new InternalLegs(name, metadata(), List.of(new ShardWindows(context.shardTarget().getShardId(), windows)));
    }

    @Override
    public InternalAggregation buildEmptyAggregation() {
        return new InternalLegs(name, metadata(), List.of());
    }
}
