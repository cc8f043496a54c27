package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.lucene.search.Query;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.search.aggregations.Aggregator;
import org.opensearch.search.aggregations.AggregatorFactories;
import org.opensearch.search.aggregations.AggregatorFactory;
import org.opensearch.search.aggregations.CardinalityUpperBound;
import org.opensearch.search.internal.SearchContext;

/** Creates the aggregator that runs the legs on a shard. */
final class LegsAggregatorFactory extends AggregatorFactory {

    private final LegSearches searches;
    private final List<Query> legs;
    private final int window;
    private final boolean ranges;
    /** Whether an aggregator runs the legs. A shard has one aggregator per slice, and one of them runs the legs for all slices. */
    private final AtomicBoolean taken = new AtomicBoolean();

    LegsAggregatorFactory(
        String name,
        QueryShardContext context,
        AggregatorFactory parent,
        AggregatorFactories.Builder subFactoriesBuilder,
        Map<String, Object> metadata,
        LegSearches searches,
        List<Query> legs,
        int window,
        boolean ranges
    ) throws IOException {
        super(name, context, parent, subFactoriesBuilder, metadata);
        this.searches = searches;
        this.legs = legs;
        this.window = window;
        this.ranges = ranges;
    }

    @Override
    protected Aggregator createInternal(
        SearchContext searchContext,
        Aggregator parent,
        CardinalityUpperBound cardinality,
        Map<String, Object> metadata
    ) throws IOException {
        ShardLegs ofShard = new ShardLegs(searches, searchContext, legs, window, ranges);
        return new LegsAggregator(name, searchContext, parent, metadata, ofShard, taken);
    }

    /** Profiled searches run in one thread, because k-NN reads the profile of the current thread, which may lack its query. */
    @Override
    protected boolean supportsConcurrentSegmentSearch() {
        return LegsAggregationBuilder.PROFILED.equals(metadata) == false;
    }
}
