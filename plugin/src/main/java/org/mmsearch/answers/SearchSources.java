package org.mmsearch.answers;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.index.query.InnerHitBuilder;
import org.opensearch.index.query.InnerHitContextBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.aggregations.AggregationBuilder;
import org.opensearch.search.aggregations.metrics.TopHitsAggregationBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;

/**
 * Finds the places in a search body that return sources: hits, inner hits, collapsed groups, {@code top_hits}. Places with
 * {@code stored_fields} or {@code script_fields} are skipped, because they return no source by default.
 */
final class SearchSources {

    private final List<Runnable> places = new ArrayList<>();

    private SearchSources() {}

    /**
     * Finds the places that do not specify {@code _source}.
     *
     * @param source the search body
     * @param everywhere whether to include inner hits and {@code top_hits}. Their mark stays until sources are read, which fails on
     *     an index that does not store them
     * @return one action per place, which marks it
     */
    static List<Runnable> unsaid(SearchSourceBuilder source, boolean everywhere) {
        SearchSources found = new SearchSources();
        if (source.fetchSource() == null && source.storedFields() == null && none(source.scriptFields()) && source.size() != 0) {
            found.places.add(() -> source.fetchSource(Mark.source()));
        }
        if (source.collapse() != null && source.collapse().getInnerHits() != null) {
            // OpenSearch runs one search per group, so shards replace these marks too.
            source.collapse().getInnerHits().forEach(found::inner);
        }
        if (everywhere) {
            found.innerHits(source.query());
            found.innerHits(source.postFilter());
            if (source.aggregations() != null) {
                found.topHits(source.aggregations().getAggregatorFactories());
            }
        }
        return found.places;
    }

    private void innerHits(QueryBuilder query) {
        if (query == null) {
            return;
        }
        Map<String, InnerHitContextBuilder> found = new HashMap<>();
        InnerHitContextBuilder.extractInnerHits(query, found);
        found.values().forEach(inner -> inner(inner.innerHitBuilder()));
    }

    private void inner(InnerHitBuilder inner) {
        if (inner.getFetchSourceContext() == null && inner.getStoredFieldsContext() == null && none(inner.getScriptFields())) {
            places.add(() -> inner.setFetchSourceContext(Mark.source()));
        }
        if (inner.getInnerCollapseBuilder() != null && inner.getInnerCollapseBuilder().getInnerHits() != null) {
            inner.getInnerCollapseBuilder().getInnerHits().forEach(this::inner);
        }
    }

    private void topHits(Collection<AggregationBuilder> aggregations) {
        for (AggregationBuilder aggregation : aggregations) {
            if (aggregation instanceof TopHitsAggregationBuilder hits
                && hits.fetchSource() == null
                && hits.storedFields() == null
                && none(hits.scriptFields())) {
                places.add(() -> hits.fetchSource(Mark.source()));
            }
            topHits(aggregation.getSubAggregations());
        }
    }

    private static boolean none(Collection<?> scripts) {
        return scripts == null || scripts.isEmpty();
    }
}
