package org.mmsearch.visibility;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

import org.opensearch.cluster.ClusterState;
import org.opensearch.action.IndicesRequest;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.Strings;
import org.opensearch.core.common.io.stream.NamedWriteableAwareStreamInput;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.xcontent.MediaTypeRegistry;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.BoostingQueryBuilder;
import org.opensearch.index.query.ConstantScoreQueryBuilder;
import org.opensearch.index.query.DisMaxQueryBuilder;
import org.opensearch.index.query.NestedQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.functionscore.FunctionScoreQueryBuilder;
import org.opensearch.plugins.SearchPlugin.QuerySpec;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.rescore.QueryRescorerBuilder;

/** Rewrites k-NN queries so that their neighbors are chosen among the documents that the search may return. */
public final class VectorQueries {

    private static final String KNN = "knn";
    private static final Set<String> RADIAL = Set.of("min_score", "max_distance");

    private NamedWriteableRegistry registry;
    private Supplier<ClusterState> state;
    private ThreadContext context;

    /** Returns the internal queries to register. */
    public List<QuerySpec<?>> queries() {
        return List.of(
            new QuerySpec<>(KnnQueryBuilder.NAME, in -> new KnnQueryBuilder(in, this), KnnQueryBuilder::parse),
            new QuerySpec<>(RawScoreQueryBuilder.NAME, RawScoreQueryBuilder::new, RawScoreQueryBuilder::parse)
        );
    }

    /** Passes in the node's services. */
    public void open(NamedWriteableRegistry registry, Supplier<ClusterState> state, ThreadContext context) {
        this.registry = registry;
        this.state = state;
        this.context = context;
    }

    /**
     * Replaces the k-NN queries in a query by ones that apply the {@link OuterFilter} of the search.
     *
     * @param query a query rewritten on the coordinating node; it is not modified
     * @return the new query; the same query if it contains no k-NN queries or if some data node does not support the new ones
     */
    public QueryBuilder among(QueryBuilder query) {
        return state == null || WireVersion.everywhere(state.get().nodes()) == false ? query : replaced(query);
    }

    /**
     * Adds the {@link RequestRules} of a request to the filter of one of its clauses.
     *
     * @param request the request that is being rewritten
     * @param filter the filter of the clause, or null
     * @return a filter for both, or null if there is neither
     */
    public QueryBuilder allowed(IndicesRequest request, QueryBuilder filter) {
        QueryBuilder rules = context == null ? null : RequestRules.of(request, context);
        if (rules == null || filter == null) {
            return rules == null ? filter : rules;
        }
        return new BoolQueryBuilder().filter(filter).filter(rules);
    }

    /** Returns whether the current request has {@link RequestRules}. The security plugin then applies no rules to nested requests. */
    public boolean rulesInRequest() {
        return context != null && RequestRules.hold(context);
    }

    /**
     * Adds a rescorer that restores k-NN's own scores, without boosts and without what the security plugin adds to scores.
     *
     * @param source a search body whose query is a result of {@link #among}
     * @param window the number of hits to rescore per shard
     */
    public void scoreRaw(SearchSourceBuilder source, int window) {
        if (source.query() instanceof KnnQueryBuilder) {
            source.addRescorer(
                new QueryRescorerBuilder(new RawScoreQueryBuilder()).setQueryWeight(0).setRescoreQueryWeight(1).windowSize(window)
            );
        }
    }

    /**
     * Sets a minimum score that is compared with k-NN's own scores, before boosts.
     *
     * @param query a result of {@link #among}
     * @param least the minimum score
     */
    public QueryBuilder cut(QueryBuilder query, float least) {
        if (query instanceof KnnQueryBuilder knn) {
            return knn.cut(least);
        }
        // Older nodes compare the boosted score, so boost the minimum score too.
        float boost = query.boost();
        return new FunctionScoreQueryBuilder(query.boost(AbstractQueryBuilder.DEFAULT_BOOST)).setMinScore(least * boost).boost(boost);
    }

    private QueryBuilder replaced(QueryBuilder query) {
        return switch (query) {
            case BoolQueryBuilder bool -> bool(bool);
            case NestedQueryBuilder nested -> {
                QueryBuilder inner = replaced(nested.query());
                yield inner == nested.query()
                    ? nested
                    : named(
                        nested,
                        new NestedQueryBuilder(nested.path(), inner, nested.scoreMode(), nested.innerHit()).ignoreUnmapped(
                            nested.ignoreUnmapped()
                        )
                    );
            }
            case ConstantScoreQueryBuilder constant -> {
                QueryBuilder inner = replaced(constant.innerQuery());
                yield inner == constant.innerQuery() ? constant : named(constant, new ConstantScoreQueryBuilder(inner));
            }
            case FunctionScoreQueryBuilder function -> function(function);
            case DisMaxQueryBuilder max -> {
                List<QueryBuilder> inner = max.innerQueries().stream().map(this::replaced).toList();
                DisMaxQueryBuilder made = new DisMaxQueryBuilder().tieBreaker(max.tieBreaker());
                inner.forEach(made::add);
                yield same(inner, max.innerQueries()) ? max : named(max, made);
            }
            case BoostingQueryBuilder boosting -> {
                QueryBuilder positive = replaced(boosting.positiveQuery());
                QueryBuilder negative = replaced(boosting.negativeQuery());
                yield positive == boosting.positiveQuery() && negative == boosting.negativeQuery()
                    ? boosting
                    : named(boosting, new BoostingQueryBuilder(positive, negative).negativeBoost(boosting.negativeBoost()));
            }
            default -> isKnn(query) ? outer(query) : query;
        };
    }

    private QueryBuilder bool(BoolQueryBuilder bool) {
        List<QueryBuilder> must = bool.must().stream().map(this::replaced).toList();
        List<QueryBuilder> should = bool.should().stream().map(this::replaced).toList();
        List<QueryBuilder> filter = bool.filter().stream().map(this::replaced).toList();
        List<QueryBuilder> mustNot = bool.mustNot().stream().map(this::replaced).toList();
        if (same(must, bool.must()) && same(should, bool.should()) && same(filter, bool.filter()) && same(mustNot, bool.mustNot())) {
            return bool;
        }
        BoolQueryBuilder made = new BoolQueryBuilder().minimumShouldMatch(bool.minimumShouldMatch())
            .adjustPureNegative(bool.adjustPureNegative());
        must.forEach(made::must);
        should.forEach(made::should);
        filter.forEach(made::filter);
        mustNot.forEach(made::mustNot);
        return named(bool, made);
    }

    private QueryBuilder function(FunctionScoreQueryBuilder function) {
        QueryBuilder inner = replaced(function.query());
        if (inner == function.query()) {
            return function;
        }
        FunctionScoreQueryBuilder made = new FunctionScoreQueryBuilder(inner, function.filterFunctionBuilders()).scoreMode(
            function.scoreMode()
        ).maxBoost(function.maxBoost());
        if (function.boostMode() != null) {
            made.boostMode(function.boostMode());
        }
        if (function.getMinScore() != null) {
            made.setMinScore(function.getMinScore());
        }
        return named(function, made);
    }

    private static boolean same(List<QueryBuilder> some, List<QueryBuilder> others) {
        for (int i = 0; i < some.size(); i++) {
            if (some.get(i) != others.get(i)) {
                return false;
            }
        }
        return true;
    }

    private static QueryBuilder named(QueryBuilder from, QueryBuilder made) {
        return made.boost(from.boost()).queryName(from.queryName());
    }

    static boolean isKnn(QueryBuilder query) {
        return KNN.equals(query.getWriteableName());
    }

    /** Returns whether a k-NN query is a radial search, which is limited by a score or distance instead of {@code k}. */
    static boolean isRadial(QueryBuilder knn) {
        Map<String, Object> words = XContentHelper.convertToMap(JsonXContent.jsonXContent, Strings.toString(MediaTypeRegistry.JSON, knn), false);
        return words.get(KNN) instanceof Map<?, ?> fields
            && fields.values().stream().anyMatch(field -> field instanceof Map<?, ?> body && RADIAL.stream().anyMatch(body::containsKey));
    }

    /** Wraps a k-NN query. Returns the query itself if k-NN rewrote it to another type. */
    QueryBuilder outer(QueryBuilder knn) {
        if (isKnn(knn) == false) {
            return knn;
        }
        if (knn.queryName() == null && knn.boost() == AbstractQueryBuilder.DEFAULT_BOOST) {
            return new KnnQueryBuilder(this, knn, null);
        }
        // k-NN's builder loses its boost and name when a filter is added, so the wrapper has them.
        QueryBuilder bare = copy(knn).boost(AbstractQueryBuilder.DEFAULT_BOOST).queryName(null);
        return new KnnQueryBuilder(this, bare, null).boost(knn.boost()).queryName(knn.queryName());
    }

    /**
     * Returns a deep copy of a query.
     *
     * @throws UncheckedIOException if the query cannot be serialized
     */
    public QueryBuilder copy(QueryBuilder query) {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            out.writeNamedWriteable(query);
            try (StreamInput in = new NamedWriteableAwareStreamInput(out.bytes().streamInput(), registry)) {
                return in.readNamedWriteable(QueryBuilder.class);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("a query of [" + query.getWriteableName() + "] cannot be copied", e);
        }
    }
}
