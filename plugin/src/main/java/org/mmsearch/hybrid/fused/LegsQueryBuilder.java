package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.InnerHitContextBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.Rewriteable;
import org.opensearch.index.search.NestedHelper;

/** An internal query with the legs of a hybrid, sent to the shards. Requests cannot contain it. */
public abstract class LegsQueryBuilder<T extends LegsQueryBuilder<T>> extends AbstractQueryBuilder<T> {

    private final HybridNode node;
    private final List<QueryBuilder> legs;
    private final Legs described;

    /**
     * @param node the services of the node
     * @param legs the rewritten legs
     * @param described the description of the legs
     */
    protected LegsQueryBuilder(HybridNode node, List<QueryBuilder> legs, Legs described) {
        this.node = node;
        this.legs = List.copyOf(legs);
        this.described = described;
    }

    /** Reads it from the wire. */
    protected LegsQueryBuilder(StreamInput in, HybridNode node) throws IOException {
        super(in);
        this.node = node;
        WireForm.read(in, "a hybrid on its way to the shards", WireForm.FIRST);
        legs = in.readNamedWriteableList(QueryBuilder.class);
        described = new Legs(in);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeNamedWriteableList(legs);
        described.writeTo(out);
    }

    /** Returns a copy with the given legs. */
    protected abstract T with(List<QueryBuilder> rewritten);

    /** Returns the services of the node. */
    public final HybridNode node() {
        return node;
    }

    /** Returns the legs; empty if only the fused documents are needed. */
    public final List<QueryBuilder> legs() {
        return legs;
    }

    /** Returns the description of the legs. */
    public final Legs described() {
        return described;
    }

    @Override
    protected final QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        List<QueryBuilder> rewritten = new ArrayList<>(legs.size());
        boolean changed = false;
        for (QueryBuilder leg : legs) {
            QueryBuilder next = Rewriteable.rewrite(leg, context);
            changed |= next != leg;
            rewritten.add(next);
        }
        return changed ? with(rewritten) : this;
    }

    /**
     * Returns the legs as Lucene queries of a shard, restricted to root documents.
     *
     * @throws IllegalArgumentException inside {@code nested}
     */
    protected final List<Query> queries(QueryShardContext context) throws IOException {
        if (context.nestedScope().getObjectMapper() != null) {
            throw new IllegalArgumentException(
                "[" + node.clause() + "] fuses root documents and is not allowed inside [nested]: put [nested] into its queries"
            );
        }
        List<Query> queries = new ArrayList<>(legs.size());
        for (QueryBuilder leg : legs) {
            Query query = leg.toQuery(context);
            queries.add(query == null ? new MatchNoDocsQuery("leg without a query") : roots(context, query));
        }
        return queries;
    }

    private static Query roots(QueryShardContext context, Query query) {
        if (context.getMapperService().hasNested() && new NestedHelper(context.getMapperService()).mightMatchNestedDocs(query)) {
            return new BooleanQuery.Builder().add(query, Occur.MUST).add(Queries.newNonNestedFilter(), Occur.FILTER).build();
        }
        return query;
    }

    @Override
    protected final void extractInnerHitBuilders(Map<String, InnerHitContextBuilder> innerHits) {
        for (QueryBuilder leg : legs) {
            InnerHitContextBuilder.extractInnerHits(leg, innerHits);
        }
    }

    @Override
    public final void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        QueryBuilderVisitor inner = visitor.getChildVisitor(Occur.SHOULD);
        legs.forEach(leg -> leg.visit(inner));
    }

    @Override
    protected final void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(getWriteableName());
        builder.startArray("queries");
        for (QueryBuilder leg : legs) {
            leg.toXContent(builder, params);
        }
        builder.endArray();
        builder.field("fusion", described.fusion().asMap());
        printBoostAndQueryName(builder);
        builder.endObject();
    }

    @Override
    protected boolean doEquals(T other) {
        return legs.equals(other.legs()) && described.equals(other.described());
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(legs, described);
    }
}
