package org.mmsearch.visibility;

import java.io.IOException;
import java.util.Objects;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.WithFieldName;

/**
 * Wraps k-NN's query so that each shard can add the {@link OuterFilter} of the search. It is internal: the coordinating node rewrites
 * vector queries to it, and requests cannot contain it.
 */
final class KnnQueryBuilder extends AbstractQueryBuilder<KnnQueryBuilder> {

    static final String NAME = "mmsearch_knn";

    private final VectorQueries queries;
    private final QueryBuilder knn;
    /** Minimum score of hits, before boosts; null keeps all hits. */
    private final Float least;

    /** @param knn k-NN's query, without a name or boost, which this builder has instead */
    KnnQueryBuilder(VectorQueries queries, QueryBuilder knn, Float least) {
        this.queries = queries;
        this.knn = knn;
        this.least = least;
    }

    KnnQueryBuilder(StreamInput in, VectorQueries queries) throws IOException {
        super(in);
        this.queries = queries;
        WireForm.read(in, NAME, WireForm.FIRST);
        knn = in.readNamedWriteable(QueryBuilder.class);
        least = in.readOptionalFloat();
    }

    static QueryBuilder parse(XContentParser parser) {
        throw new ParsingException(parser.getTokenLocation(), "[" + NAME + "] is internal: use the knn query");
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeNamedWriteable(knn);
        out.writeOptionalFloat(least);
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        QueryBuilder rewritten = knn.rewrite(context);
        return rewritten == knn ? this : with(rewritten, least);
    }

    @Override
    public QueryBuilder filter(QueryBuilder filter) {
        // k-NN's builder may modify its filter, and this builder may be serialized again: so modify a copy.
        return filter == null ? this : with(queries.copy(knn).filter(filter), least);
    }

    /** Returns this query with a minimum score. */
    QueryBuilder cut(float lowest) {
        return with(knn, lowest);
    }

    private QueryBuilder with(QueryBuilder other, Float lowest) {
        QueryBuilder made = VectorQueries.isKnn(other) ? new KnnQueryBuilder(queries, other, lowest) : other;
        return made.boost(boost).queryName(queryName);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) throws IOException {
        Query plain = knn.toQuery(context);
        if (plain == null || plain instanceof MatchNoDocsQuery) {
            return plain;
        }
        String field = field(context);
        ScoreRange range = VectorRange.of(context, field);
        if (inNested(context) || context.isCacheable() == false) {
            // The nested scope and the current time are not available later, so build the query now and set its filter later.
            LateFilter late = new LateFilter();
            Query query = filtered(context, late);
            return new KnnQuery(field, least, range, plain, filter -> {
                late.is(filter);
                return query;
            });
        }
        // Few searches have an outer filter, so build the filtered query only on demand.
        return new KnnQuery(field, least, range, plain, filter -> {
            synchronized (context) {
                return filtered(context, filter);
            }
        });
    }

    /** Returns the name of the field, resolving a field alias. */
    private String field(QueryShardContext context) {
        String name = ((WithFieldName) knn).fieldName();
        MappedFieldType type = context.fieldMapper(name);
        return type == null ? name : type.name();
    }

    private static boolean inNested(QueryShardContext context) {
        return context.getParentFilter() != null || context.nestedScope().getObjectMapper() != null;
    }

    private Query filtered(QueryShardContext context, Query filter) throws IOException {
        if (inNested(context) == false && VectorQueries.isRadial(knn)) {
            // A radial search finds the same documents with a post-filter. With a pre-filter, faiss loses some of them.
            return new BooleanQuery.Builder().add(queries.copy(knn).toQuery(context), Occur.MUST).add(filter, Occur.FILTER).build();
        }
        return queries.copy(knn).filter(new GivenQueryBuilder(filter)).toQuery(context);
    }

    @Override
    public void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        knn.visit(visitor.getChildVisitor(Occur.MUST));
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME).field("query", knn);
        if (least != null) {
            builder.field("least", least);
        }
        printBoostAndQueryName(builder);
        builder.endObject();
    }

    @Override
    protected boolean doEquals(KnnQueryBuilder other) {
        return knn.equals(other.knn) && Objects.equals(least, other.least);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(knn, least);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
