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
 * Sends the legs of a hybrid to the shards and returns their windows, in one search that fetches nothing. It is an aggregation, so
 * OpenSearch handles the choice of shards, retries, alias filters, timeouts and cancellation.
 */
public final class LegsAggregationBuilder extends AbstractAggregationBuilder<LegsAggregationBuilder> {

    /** The name on the wire. Requests cannot contain it. */
    public static final String NAME = "mmsearch_legs";

    /** The aggregation metadata that marks a profiled search. */
    public static final Map<String, Object> PROFILED = Map.of("profile", true);

    /** The form of an aggregation that also finds the ranges of scores, which is otherwise the first one. */
    private static final int RANGED = 2;

    private final LegSearches searches;
    private final List<QueryBuilder> legs;
    private final int window;
    private final boolean ranges;

    /**
     * @param name the name of the aggregation
     * @param searches the executor of legs
     * @param legs the rewritten legs
     * @param window the maximum number of hits per leg
     * @param ranges whether the ranges of scores are needed
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
        ranges = WireForm.read(in, NAME, RANGED) == RANGED;
        legs = in.readNamedWriteableList(QueryBuilder.class);
        window = in.readVInt();
    }

    /**
     * Rejects the aggregation in a request.
     *
     * @throws ParsingException always
     */
    public static LegsAggregationBuilder parse(XContentParser parser, String name) {
        throw new ParsingException(parser.getTokenLocation(), "[" + NAME + "] is internal: use the hybrid query");
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, ranges ? RANGED : WireForm.FIRST);
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

    /** Converts a leg as OpenSearch converts a request's query, so that an invalid leg is reported as a client error. */
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
