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

/** Runs the legs on a shard, once, and reports their best hits. It collects no document of the query it stands under. */
final class LegsAggregator extends MetricsAggregator {

    private final ShardLegs legs;
    private final AtomicBoolean taken;
    private LegWindows found;

    /**
     * @param legs of the shard
     * @param taken whether an aggregator of the same shard has taken it upon itself to run them
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
        // The first leaf is where the search's deadline and cancellation begin to hold.
        if (taken.compareAndSet(false, true)) {
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
