package org.mmsearch.hybrid.search;

import java.util.Collection;
import java.util.List;
import java.util.Set;

import org.apache.lucene.search.BooleanClause;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.search.aggregations.AggregationBuilder;
import org.opensearch.search.aggregations.metrics.TopHitsAggregationBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;

/**
 * Decides whether a search needs the legs after fusion: for highlighting, explain, profile, inner hits or named queries. Otherwise the legs
 * are not sent to the shards again.
 */
final class FetchedLegs {

    /** Queries without inner hits that have no inner queries or pass all of them to a visitor. */
    private static final Set<String> PLAIN = Set.of(
        "bool", "boosting", "constant_score", "dis_max", "exists", "fuzzy", "ids", "knn", "match", "match_all", "match_bool_prefix",
        "match_none", "match_phrase", "match_phrase_prefix", "mmsearch_knn", "multi_match", "prefix", "query_string", "range", "regexp",
        "simple_query_string", "term", "terms", "wildcard"
    );

    private static final String CORE_AGGREGATIONS = "org.opensearch.search.aggregations.";

    private FetchedLegs() {}

    /**
     * Returns all legs, or an empty list if the search does not need them.
     *
     * @param legs the legs of a hybrid
     * @param described the description of the legs
     * @param source the source of the search, or null
     */
    static List<QueryBuilder> of(List<QueryBuilder> legs, Legs described, SearchSourceBuilder source) {
        boolean needed = described.totals() != Totals.WINDOW
            || described.named().isEmpty() == false
            || source != null && read(source)
            || legs.stream().anyMatch(FetchedLegs::mayBeNamed);
        return needed ? legs : List.of();
    }

    private static boolean read(SearchSourceBuilder source) {
        return source.highlighter() != null
            || source.profile()
            // Plugins that add a section to a search may read the query, such as k-NN's maximal marginal relevance (MMR).
            || source.ext().isEmpty() == false
            || Boolean.TRUE.equals(source.explain())
            || PointInTime.isExpanded(source)
            || source.aggregations() != null && read(source.aggregations().getAggregatorFactories());
    }

    /** Returns whether an aggregation may need the legs: top hits highlight and explain, and other plugins' aggregations are unknown. */
    private static boolean read(Collection<AggregationBuilder> aggregations) {
        for (AggregationBuilder aggregation : aggregations) {
            if (aggregation instanceof TopHitsAggregationBuilder
                || aggregation.getClass().getName().startsWith(CORE_AGGREGATIONS) == false
                || read(aggregation.getSubAggregations())) {
                return true;
            }
        }
        return false;
    }

    private static boolean mayBeNamed(QueryBuilder leg) {
        boolean[] found = new boolean[1];
        leg.visit(new QueryBuilderVisitor() {
            @Override
            public void accept(QueryBuilder query) {
                found[0] |= query.queryName() != null || PLAIN.contains(query.getWriteableName()) == false;
            }

            @Override
            public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
                return this;
            }
        });
        return found[0];
    }
}
