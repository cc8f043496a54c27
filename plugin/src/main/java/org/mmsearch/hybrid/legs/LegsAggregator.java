package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreMode;
import org.opensearch.search.aggregations.Aggregator;
import org.opensearch.search.aggregations.InternalAggregation;
import org.opensearch.search.aggregations.LeafBucketCollector;
import org.opensearch.search.aggregations.metrics.MetricsAggregator;
import org.opensearch.search.approximate.ApproximateScoreQuery;
import org.opensearch.search.internal.SearchContext;

/** Runs the legs on a shard once and returns their windows. It collects no documents of the search's query. */
final class LegsAggregator extends MetricsAggregator {

    private final ShardLegs legs;
    private final AtomicBoolean taken;
    private LegWindows found;

    /**
     * @param legs the legs on this shard
     * @param taken whether another aggregator of this shard already runs the legs; set by the one that does
     */
    LegsAggregator(
        String name,
        SearchContext context,
        Aggregator parent,
        Map<String, Object> metadata,
        ShardLegs legs,
        AtomicBoolean taken
    ) throws IOException {
        super(name, context, parent, metadata);
        this.legs = legs;
        this.taken = taken;
    }

    @Override
    public ScoreMode scoreMode() {
        return ScoreMode.COMPLETE_NO_SCORES;
    }

    @Override
    protected LeafBucketCollector getLeafCollector(LeafReaderContext leaf, LeafBucketCollector sub) throws IOException {
        // At the first leaf, the search's deadline and cancellation are active.
        if (taken.compareAndSet(false, true)) {
            // The request's own query matches all documents, so any other query is a filter from outside, such as document-level security.
            Query filter = all(context.query()) ? null : context.query();
            // The surrounding search collects nothing and does not check the deadline again on a shard with one segment.
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
        if (taken.compareAndSet(false, true)) {
            found = legs.none();
        }
        return found == null
            ? buildEmptyAggregation()
            : new InternalLegs(name, metadata(), List.of(new ShardWindows(context.shardTarget().getShardId(), found)));
    }

    @Override
    public InternalAggregation buildEmptyAggregation() {
        return new InternalLegs(name, metadata(), List.of());
    }
}
