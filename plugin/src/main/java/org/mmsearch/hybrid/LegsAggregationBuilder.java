package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.apache.lucene.search.Query;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
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

    private final HybridClause clause;
    private final List<QueryBuilder> legs;
    private final int window;

    LegsAggregationBuilder(String name, HybridClause clause, List<QueryBuilder> legs, int window) {
        super(name);
        this.clause = clause;
        this.legs = List.copyOf(legs);
        this.window = window;
    }

    private LegsAggregationBuilder(
        LegsAggregationBuilder clone,
        AggregatorFactories.Builder factoriesBuilder,
        Map<String, Object> metadata
    ) {
        super(clone, factoriesBuilder, metadata);
        clause = clone.clause;
        legs = clone.legs;
        window = clone.window;
    }

    /** Reads it from the wire. */
    public LegsAggregationBuilder(StreamInput in, HybridClause clause) throws IOException {
        super(in);
        this.clause = clause;
        legs = in.readNamedWriteableList(QueryBuilder.class);
        window = in.readVInt();
    }

    /** Refuses to be asked for by a request. */
    public static LegsAggregationBuilder parse(XContentParser parser, String name) {
        throw new ParsingException(parser.getTokenLocation(), "[" + NAME + "] is internal: use the hybrid query");
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
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
        return changed ? new LegsAggregationBuilder(getName(), clause, rewritten, window) : this;
    }

    @Override
    protected AggregatorFactory doBuild(
        QueryShardContext context,
        AggregatorFactory parent,
        AggregatorFactories.Builder subFactoriesBuilder
    ) throws IOException {
        List<Query> queries = new ArrayList<>(legs.size());
        for (QueryBuilder leg : legs) {
            queries.add(leg.toQuery(context));
        }
        return new LegsAggregatorFactory(name, context, parent, subFactoriesBuilder, metadata, clause.searches(), queries, window);
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
        return super.equals(other) && other instanceof LegsAggregationBuilder that && window == that.window && legs.equals(that.legs);
    }

    @Override
    public int hashCode() {
        return Objects.hash(super.hashCode(), window, legs);
    }
}
