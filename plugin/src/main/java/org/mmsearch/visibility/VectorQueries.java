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

/** Makes vector queries that choose neighbours among what a search may find, and registers them. */
public final class VectorQueries {

    private static final String KNN = "knn";
    private static final Set<String> RADIAL = Set.of("min_score", "max_distance");

    private NamedWriteableRegistry registry;
    private Supplier<ClusterState> state;
    private ThreadContext context;

    /** The query that shards run. */
    public List<QuerySpec<?>> queries() {
        return List.of(
            new QuerySpec<>(KnnQueryBuilder.NAME, in -> new KnnQueryBuilder(in, this), KnnQueryBuilder::parse),
            new QuerySpec<>(RawScoreQueryBuilder.NAME, RawScoreQueryBuilder::new, RawScoreQueryBuilder::parse)
        );
    }

    /** Gives it what it works with. */
    public void open(NamedWriteableRegistry registry, Supplier<ClusterState> state, ThreadContext context) {
        this.registry = registry;
        this.state = state;
        this.context = context;
    }

    /**
     * Lets the vector queries in a query choose neighbours after what filters the search from outside.
     *
     * @param query rewritten, on the coordinating node; it stays as it is
     * @return the same query where there are no vector queries in it, or nodes that do not know how
     */
    public QueryBuilder among(QueryBuilder query) {
        return state == null || WireVersion.everywhere(state.get().nodes()) == false ? query : replaced(query);
    }

    /**
     * Rules of document-level security that stand in the request, beside its query, rather than on its shards.
     *
     * @param request that is rewritten
     * @param filter what its clause filters by, or null
     * @return both, or null where there is neither
     */
    public QueryBuilder allowed(IndicesRequest request, QueryBuilder filter) {
        QueryBuilder rules = context == null ? null : RequestRules.of(request, context);
        if (rules == null || filter == null) {
            return rules == null ? filter : rules;
        }
        return new BoolQueryBuilder().filter(filter).filter(rules);
    }

    /** Whether this thread works for a request in which such rules stand: then nothing below it is filtered by itself. */
    public boolean rulesInRequest() {
        return context != null && RequestRules.hold(context);
    }

    /**
     * Scores hits by k-NN alone, whatever security or a boost adds to them.
     *
     * @param source a search for one query of {@link #among}
     * @param window how many hits of each shard
     */
    public void scoreRaw(SearchSourceBuilder source, int window) {
        if (source.query() instanceof KnnQueryBuilder) {
            source.addRescorer(
                new QueryRescorerBuilder(new RawScoreQueryBuilder()).setQueryWeight(0).setRescoreQueryWeight(1).windowSize(window)
            );
        }
    }

    /**
     * Keeps hits by their scores of k-NN, whatever boosts them.
     *
     * @param query a query of {@link #among}
     * @param least the least score that is kept
     */
    public QueryBuilder cut(QueryBuilder query, float least) {
        if (query instanceof KnnQueryBuilder knn) {
            return knn.cut(least);
        }
        // Nodes that know no better compare the boosted score.
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

    /** Whether k-NN's query is bounded by a score or a distance rather than by a number of neighbours. */
    static boolean isRadial(QueryBuilder knn) {
        Map<String, Object> words = XContentHelper.convertToMap(JsonXContent.jsonXContent, Strings.toString(MediaTypeRegistry.JSON, knn), false);
        return words.get(KNN) instanceof Map<?, ?> fields
            && fields.values().stream().anyMatch(field -> field instanceof Map<?, ?> body && RADIAL.stream().anyMatch(body::containsKey));
    }

    /** k-NN's query in ours; one that k-NN has rewritten into another stays. */
    QueryBuilder outer(QueryBuilder knn) {
        if (isKnn(knn) == false) {
            return knn;
        }
        if (knn.queryName() == null && knn.boost() == AbstractQueryBuilder.DEFAULT_BOOST) {
            return new KnnQueryBuilder(this, knn, null);
        }
        // k-NN drops both when it takes a filter in.
        QueryBuilder bare = copy(knn).boost(AbstractQueryBuilder.DEFAULT_BOOST).queryName(null);
        return new KnnQueryBuilder(this, bare, null).boost(knn.boost()).queryName(knn.queryName());
    }

    /** @return the same query again */
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
