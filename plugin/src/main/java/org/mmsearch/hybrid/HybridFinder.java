package org.mmsearch.hybrid;

import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

import org.apache.lucene.search.BooleanClause;
import org.opensearch.index.query.NestedQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.functionscore.FunctionScoreQueryBuilder;
import org.opensearch.search.aggregations.AggregationBuilder;
import org.opensearch.search.aggregations.bucket.adjacency.AdjacencyMatrixAggregationBuilder;
import org.opensearch.search.aggregations.bucket.filter.FilterAggregationBuilder;
import org.opensearch.search.aggregations.bucket.filter.FiltersAggregationBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.rescore.QueryRescorerBuilder;
import org.opensearch.search.rescore.RescorerBuilder;

/** Finds the hybrids in a search request: in queries, aggregations, rescorers and all other places of a query. */
final class HybridFinder implements QueryBuilderVisitor {

    /** Queries that are replaced when they are rewritten. What they contain is unknown before. */
    private static final Set<String> OPAQUE = Set.of("wrapper", "template");
    private static final String CORE = "org.opensearch.index.query.";
    private static final String KNN = "org.opensearch.knn.";
    private static final String OURS = "org.mmsearch.";
    private static final String CORE_AGGREGATIONS = "org.opensearch.search.aggregations.";

    private final Set<QueryBuilder> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private int found;
    private boolean unsure;
    private boolean ours;

    private HybridFinder() {}

    /** Returns whether a query contains only clauses of OpenSearch and k-NN, which have no side effects during rewrite. */
    static boolean onlyOthers(QueryBuilder query) {
        HybridFinder finder = new HybridFinder();
        finder.look(query);
        return finder.ours == false && finder.unsure == false;
    }

    /** @param source of a request */
    static HybridFinder in(SearchSourceBuilder source) {
        HybridFinder finder = new HybridFinder();
        finder.look(source.query());
        finder.look(source.postFilter());
        if (source.rescores() != null) {
            for (RescorerBuilder<?> rescorer : source.rescores()) {
                if (rescorer instanceof QueryRescorerBuilder byQuery) {
                    finder.look(byQuery.getRescoreQuery());
                } else {
                    finder.unsure = true;
                }
            }
        }
        if (source.highlighter() != null) {
            finder.look(source.highlighter().highlightQuery());
            source.highlighter().fields().forEach(field -> finder.look(field.highlightQuery()));
        }
        if (source.aggregations() != null) {
            finder.look(source.aggregations().getAggregatorFactories());
        }
        return finder;
    }

    /** Returns whether the request has a hybrid, or a query that may be rewritten to one. */
    boolean any() {
        return found > 0 || unsure;
    }

    /** Returns whether the request has no hybrid, but a query that may be rewritten to one. */
    boolean showsNone() {
        return found == 0;
    }

    /** Returns whether the request has one hybrid and no query that may be rewritten to another. */
    boolean exactlyOne() {
        return found == 1 && unsure == false;
    }

    private void look(QueryBuilder query) {
        if (query != null) {
            query.visit(this);
        }
    }

    @Override
    public void accept(QueryBuilder query) {
        if (seen.add(query) == false) {
            return;
        }
        String name = query.getClass().getName();
        ours |= name.startsWith(OURS);
        if (query instanceof HybridQueryBuilder) {
            found++;
        } else if (OPAQUE.contains(query.getWriteableName())) {
            unsure = true;
        } else if (name.startsWith(CORE) == false && name.startsWith(KNN) == false && name.startsWith(OURS) == false) {
            unsure = true;
        }
        // A visitor does not reach all queries inside these.
        if (query instanceof FunctionScoreQueryBuilder scored) {
            for (FunctionScoreQueryBuilder.FilterFunctionBuilder function : scored.filterFunctionBuilders()) {
                look(function.getFilter());
            }
        } else if (query instanceof NestedQueryBuilder nested) {
            look(nested.query());
        }
    }

    @Override
    public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
        return this;
    }

    private void look(Collection<AggregationBuilder> aggregations) {
        for (AggregationBuilder aggregation : aggregations) {
            if (aggregation instanceof FilterAggregationBuilder filter) {
                look(filter.getFilter());
            } else if (aggregation instanceof FiltersAggregationBuilder filters) {
                filters.filters().forEach(filter -> look(filter.filter()));
            } else if (aggregation instanceof AdjacencyMatrixAggregationBuilder matrix) {
                matrix.filters().forEach((name, filter) -> look(filter));
            } else if (aggregation.getClass().getName().startsWith(CORE_AGGREGATIONS) == false) {
                unsure = true;
            }
            look(aggregation.getSubAggregations());
        }
    }
}
