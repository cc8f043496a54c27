package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
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

/**
 * What a hybrid becomes on the coordinating node: a query for the shards, with the legs in it for highlighting, inner hits and
 * named queries. It has a wire form, but none that a request could ask for.
 */
abstract class FusedQueryBuilder<T extends FusedQueryBuilder<T>> extends AbstractQueryBuilder<T> {

    private final HybridClause clause;
    private final List<QueryBuilder> legs;
    private final Legs described;

    FusedQueryBuilder(HybridClause clause, List<QueryBuilder> legs, Legs described) {
        this.clause = clause;
        this.legs = List.copyOf(legs);
        this.described = described;
    }

    FusedQueryBuilder(StreamInput in, HybridClause clause) throws IOException {
        super(in);
        this.clause = clause;
        legs = in.readNamedWriteableList(QueryBuilder.class);
        described = new Legs(in);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeNamedWriteableList(legs);
        described.writeTo(out);
    }

    /** The query of a shard. */
    abstract FusedQuery fused(QueryShardContext context, List<Query> queries);

    /** This with other legs. */
    abstract T with(List<QueryBuilder> rewritten);

    final HybridClause clause() {
        return clause;
    }

    final List<QueryBuilder> legs() {
        return legs;
    }

    final Legs described() {
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

    @Override
    protected final Query doToQuery(QueryShardContext context) throws IOException {
        if (context.nestedScope().getObjectMapper() != null) {
            throw new IllegalArgumentException(
                "[" + clause.name() + "] fuses root documents and cannot stand inside [nested]: put [nested] into its queries"
            );
        }
        List<Query> queries = new ArrayList<>(legs.size());
        for (QueryBuilder leg : legs) {
            Query query = leg.toQuery(context);
            queries.add(query == null ? new MatchNoDocsQuery("leg without a query") : roots(context, query));
        }
        FusedQuery fused = fused(context, queries);
        clause.running().add(context, fused);
        for (int leg : described.named()) {
            context.addNamedQuery(described.names().get(leg), new LegDocsQuery(fused, leg));
        }
        if (described.totals() == Totals.WINDOW) {
            return fused;
        }
        BooleanQuery.Builder all = new BooleanQuery.Builder().add(fused, Occur.SHOULD);
        for (Query query : queries) {
            all.add(new BoostQuery(new ConstantScoreQuery(query), 0f), Occur.SHOULD);
        }
        return all.build();
    }

    private static Query roots(QueryShardContext context, Query query) {
        if (context.getMapperService().hasNested() && new NestedHelper(context.getMapperService()).mightMatchNestedDocs(query)) {
            return new BooleanQuery.Builder().add(query, Occur.MUST).add(Queries.newNonNestedFilter(), Occur.FILTER).build();
        }
        return query;
    }

    @Override
    protected void extractInnerHitBuilders(Map<String, InnerHitContextBuilder> innerHits) {
        for (QueryBuilder leg : legs) {
            InnerHitContextBuilder.extractInnerHits(leg, innerHits);
        }
    }

    @Override
    public void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        QueryBuilderVisitor inner = visitor.getChildVisitor(Occur.SHOULD);
        legs.forEach(leg -> leg.visit(inner));
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
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
