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
 * Which legs a search needs once their hits are fused: their terms for highlighting, their queries for explaining, profiling, inner hits
 * and named queries. Legs that nothing reads are not sent to the shards a second time, nor made into queries there.
 */
final class FetchedLegs {

    /** Queries that hold no other query, or show those that they hold to a visitor; none of them has inner hits. */
    private static final Set<String> PLAIN = Set.of(
        "bool", "boosting", "constant_score", "dis_max", "exists", "fuzzy", "ids", "knn", "match", "match_all", "match_bool_prefix",
        "match_none", "match_phrase", "match_phrase_prefix", "mmsearch_knn", "multi_match", "prefix", "query_string", "range", "regexp",
        "simple_query_string", "term", "terms", "wildcard"
    );

    private static final String CORE_AGGREGATIONS = "org.opensearch.search.aggregations.";

    private FetchedLegs() {}

    /**
     * @param legs of a hybrid
     * @param described the rest of it
     * @param source of the search that it stands in, or null
     * @return all the legs, or none where nothing depends on them
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
            // A plugin that adds a section to searches may read the query, as k-NN's maximal marginal relevance does.
            || source.ext().isEmpty() == false
            || Boolean.TRUE.equals(source.explain())
            || PointInTime.isExpanded(source)
            || source.aggregations() != null && read(source.aggregations().getAggregatorFactories());
    }

    /** Top hits highlight and explain as a search does, and nobody knows what other plugins' aggregations do. */
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
