package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.QueryShardException;
import org.opensearch.index.query.Rewriteable;
import org.opensearch.search.aggregations.AbstractAggregationBuilder;
import org.opensearch.search.aggregations.AggregationBuilder;
import org.opensearch.search.aggregations.AggregatorFactories;
import org.opensearch.search.aggregations.AggregatorFactory;

/**
 * Carries the legs of a hybrid to the shards and their hits back, in one search that fetches nothing.
 * An aggregation, so that shard choice, retries, alias filters, timeouts and cancellation are the engine's own.
 */
public final class LegsAggregationBuilder extends AbstractAggregationBuilder<LegsAggregationBuilder> {

    /** The name on the wire; no request can ask for it. */
    public static final String NAME = "mmsearch_legs";

    /** The metadata of a profiled search's aggregation. */
    public static final Map<String, Object> PROFILED = Map.of("profile", true);

    private final LegSearches searches;
    private final List<QueryBuilder> legs;
    private final int window;
    private final boolean ranges;

    /**
     * @param name of the aggregation
     * @param searches runs legs
     * @param legs rewritten
     * @param window how many hits of each
     * @param ranges whether the ranges of their scores are needed
     */
    public LegsAggregationBuilder(String name, LegSearches searches, List<QueryBuilder> legs, int window, boolean ranges) {
        super(name);
        this.searches = searches;
        this.legs = List.copyOf(legs);
        this.window = window;
        this.ranges = ranges;
    }

    private LegsAggregationBuilder(
        LegsAggregationBuilder clone,
        AggregatorFactories.Builder factoriesBuilder,
        Map<String, Object> metadata
    ) {
        super(clone, factoriesBuilder, metadata);
        searches = clone.searches;
        legs = clone.legs;
        window = clone.window;
        ranges = clone.ranges;
    }

    /** Reads it from the wire. */
    public LegsAggregationBuilder(StreamInput in, LegSearches searches) throws IOException {
        super(in);
        this.searches = searches;
        // The second form is the first one with ranges.
        ranges = WireForm.read(in, NAME, WireForm.SECOND) == WireForm.SECOND;
        legs = in.readNamedWriteableList(QueryBuilder.class);
        window = in.readVInt();
    }

    /** Refuses to be asked for by a request. */
    public static LegsAggregationBuilder parse(XContentParser parser, String name) {
        throw new ParsingException(parser.getTokenLocation(), "[" + NAME + "] is internal: use the hybrid query");
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, ranges ? WireForm.SECOND : WireForm.FIRST);
        out.writeNamedWriteableList(legs);
        out.writeVInt(window);
    }

    @Override
    protected AggregationBuilder doRewrite(QueryRewriteContext context) throws IOException {
        List<QueryBuilder> rewritten = new ArrayList<>(legs.size());
        boolean changed = false;
        for (QueryBuilder leg : legs) {
            QueryBuilder next = Rewriteable.rewrite(leg, context);
            changed |= next != leg;
            rewritten.add(next);
        }
        return changed ? new LegsAggregationBuilder(getName(), searches, rewritten, window, ranges) : this;
    }

    @Override
    protected AggregatorFactory doBuild(
        QueryShardContext context,
        AggregatorFactory parent,
        AggregatorFactories.Builder subFactoriesBuilder
    ) throws IOException {
        List<Query> queries = new ArrayList<>(legs.size());
        for (QueryBuilder leg : legs) {
            queries.add(query(leg, context));
        }
        return new LegsAggregatorFactory(name, context, parent, subFactoriesBuilder, metadata, searches, queries, window, ranges);
    }

    /** As the engine reads a request's query: whatever a leg is refused for is the request's fault. */
    private static Query query(QueryBuilder leg, QueryShardContext context) throws IOException {
        try {
            return leg.toQuery(context);
        } catch (QueryShardException | ParsingException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new QueryShardException(context, "failed to create query: {}", e, e.getMessage());
        }
    }

    @Override
    public BucketCardinality bucketCardinality() {
        return BucketCardinality.NONE;
    }

    @Override
    protected AggregationBuilder shallowCopy(AggregatorFactories.Builder factoriesBuilder, Map<String, Object> metadata) {
        return new LegsAggregationBuilder(this, factoriesBuilder, metadata);
    }

    @Override
    protected XContentBuilder internalXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject().field("window", window).startArray("legs");
        for (QueryBuilder leg : legs) {
            leg.toXContent(builder, params);
        }
        return builder.endArray().endObject();
    }

    @Override
    public String getType() {
        return NAME;
    }

    @Override
    public boolean equals(Object other) {
        return super.equals(other) && other instanceof LegsAggregationBuilder that && window == that.window && ranges == that.ranges && legs.equals(that.legs);
    }

    @Override
    public int hashCode() {
        return Objects.hash(super.hashCode(), window, ranges, legs);
    }
}
