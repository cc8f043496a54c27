package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.InnerHitContextBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;

/**
 * The {@code hybrid} clause. It fuses the top hits of several queries, its legs, into one ranking.
 *
 * <p>The coordinating node rewrites it to a query that matches the fused hits. So it works with all search features, such as sort,
 * aggregations and highlighting.
 */
public final class HybridQueryBuilder extends AbstractQueryBuilder<HybridQueryBuilder> {

    /** Maximum number of queries. */
    public static final int MAX_QUERIES = 10;
    /** The minimum window if neither the clause nor its fusion sets one. */
    public static final int DEFAULT_WINDOW = 100;
    /** Maximum window. */
    public static final int MAX_WINDOW = 10_000;

    private final HybridClause clause;
    private final List<QueryBuilder> queries;
    private final QueryBuilder filter;
    private final HybridOptions options;
    /** Positions of the legs that are not left out, known after rewrite. Never sent to another node. */
    private final List<Integer> kept;
    /** Number of legs in the request. */
    private final int given;
    /** An identity that all rewritten copies share, so that a request can recognize its clause. */
    private final Object origin;

    HybridQueryBuilder(HybridClause clause, List<QueryBuilder> queries, QueryBuilder filter, HybridOptions options) {
        this(clause, queries, filter, options, null, queries.size(), new Object());
    }

    private HybridQueryBuilder(
        HybridClause clause,
        List<QueryBuilder> queries,
        QueryBuilder filter,
        HybridOptions options,
        List<Integer> kept,
        int given,
        Object origin
    ) {
        this.origin = origin;
        this.given = given;
        this.clause = clause;
        this.kept = kept;
        this.queries = List.copyOf(queries);
        this.filter = filter;
        this.options = options;
    }

    HybridQueryBuilder(StreamInput in, HybridClause clause) throws IOException {
        super(in);
        this.clause = clause;
        WireForm.read(in, clause.name(), WireForm.FIRST);
        queries = in.readNamedWriteableList(QueryBuilder.class);
        filter = in.readOptionalNamedWriteable(QueryBuilder.class);
        options = new HybridOptions(in);
        kept = null;
        given = queries.size();
        origin = new Object();
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeNamedWriteableList(queries);
        out.writeOptionalNamedWriteable(filter);
        options.writeTo(out);
    }

    List<QueryBuilder> queries() {
        return queries;
    }

    /** Returns a copy without name and boost. */
    HybridQueryBuilder plain() {
        return new HybridQueryBuilder(clause, queries, filter, options, kept, given, origin);
    }

    /** Returns whether this hybrid was rewritten from the given query. */
    boolean comesFrom(QueryBuilder query) {
        return query instanceof HybridQueryBuilder hybrid && hybrid.origin == origin;
    }

    /** Returns the filter of all legs, or null. */
    QueryBuilder pushedFilter() {
        return filter;
    }

    HybridOptions options() {
        return options;
    }

    /**
     * Returns the window: the number of hits per leg, and the maximum number of fused hits.
     *
     * @param fusion the fusion in effect
     * @param page the window if neither this clause nor the fusion sets one
     */
    int window(Fusion fusion, int page) {
        if (options.paginationDepth() != null) {
            return options.paginationDepth();
        }
        return fusion.window() > 0 ? fusion.window() : page;
    }

    /** Validates a fusion against all queries and returns it for the queries that are not left out. */
    Fusion narrowed(Fusion fusion) {
        Fusion fitting = fusion.validate(given);
        return kept == null || kept.size() == given ? fitting : fitting.only(kept);
    }

    /** Returns a copy with only the given positions, whose queries are rewritten. */
    HybridQueryBuilder keep(List<Integer> positions, List<QueryBuilder> rewritten) {
        return new HybridQueryBuilder(clause, rewritten, filter, options, positions, given, origin).boost(boost()).queryName(queryName());
    }

    /** Returns the description of the legs for a fusion. */
    Legs describe(Fusion fusion) {
        List<String> names = new ArrayList<>(queries.size());
        List<Integer> named = new ArrayList<>();
        for (int i = 0; i < queries.size(); i++) {
            String name = queries.get(i).queryName();
            if (name != null) {
                named.add(i);
            }
            names.add(name == null ? String.valueOf(kept == null ? i : kept.get(i)) : name);
        }
        return new Legs(names, named, fusion, options.cutoff(), options.totals(), options.evidence());
    }

    @Override
    public QueryBuilder filter(QueryBuilder more) {
        if (validateFilterParams(more) == false) {
            return this;
        }
        QueryBuilder both = filter == null ? more : new BoolQueryBuilder().filter(filter).filter(more);
        return copy(queries, both);
    }

    private HybridQueryBuilder copy(List<QueryBuilder> otherQueries, QueryBuilder otherFilter) {
        return new HybridQueryBuilder(clause, otherQueries, otherFilter, options, kept, given, origin).boost(boost()).queryName(queryName());
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        QueryCoordinatorContext coordinator = context.convertToCoordinatorContext();
        if (coordinator == null) {
            return this;
        }
        if (kept == null && context.validate() == false) {
            return clause.coordinator().rewriteEach(this, coordinator);
        }
        List<QueryBuilder> rewritten = new ArrayList<>(queries.size());
        boolean changed = false;
        for (QueryBuilder query : queries) {
            QueryBuilder next = query.rewrite(context);
            changed |= next != query;
            rewritten.add(next);
        }
        QueryBuilder nextFilter = filter == null ? null : filter.rewrite(context);
        if (changed || nextFilter != filter) {
            return copy(rewritten, nextFilter);
        }
        return clause.coordinator().fuse(this, coordinator);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        throw new IllegalArgumentException(
            "[" + clause.name() + "] is fused on the coordinating node and is not allowed in queries that only shards evaluate, such as "
                + "alias filters and percolators: use one of its queries there"
        );
    }

    @Override
    protected void extractInnerHitBuilders(Map<String, InnerHitContextBuilder> innerHits) {
        for (QueryBuilder query : queries) {
            InnerHitContextBuilder.extractInnerHits(query, innerHits);
        }
    }

    @Override
    public void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        QueryBuilderVisitor inner = visitor.getChildVisitor(Occur.SHOULD);
        queries.forEach(query -> query.visit(inner));
        if (filter != null) {
            filter.visit(visitor.getChildVisitor(Occur.FILTER));
        }
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(clause.name());
        builder.startArray("queries");
        for (QueryBuilder query : queries) {
            query.toXContent(builder, params);
        }
        builder.endArray();
        if (filter != null) {
            builder.field("filter");
            filter.toXContent(builder, params);
        }
        options.toXContent(builder, params);
        printBoostAndQueryName(builder);
        builder.endObject();
    }

    @Override
    public String getWriteableName() {
        return clause.name();
    }

    @Override
    protected boolean doEquals(HybridQueryBuilder other) {
        return queries.equals(other.queries) && Objects.equals(filter, other.filter) && options.equals(other.options);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(queries, filter, options);
    }
}
