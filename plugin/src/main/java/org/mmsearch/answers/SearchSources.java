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
 * Every place of a search body that returns sources: the hits, inner hits, collapsed groups, top hits. Those that ask for stored
 * fields or by scripts return no source unless it is asked for.
 */
final class SearchSources {

    private final List<Runnable> places = new ArrayList<>();

    private SearchSources() {}

    /**
     * Finds each place whose {@code _source} the request says nothing about.
     *
     * @param source the body
     * @param everywhere also where no shard can take the mark away before sources are read, which an index without them refuses
     * @return what marks them, one a place
     */
    static List<Runnable> unsaid(SearchSourceBuilder source, boolean everywhere) {
        SearchSources found = new SearchSources();
        if (source.fetchSource() == null && source.storedFields() == null && none(source.scriptFields()) && source.size() != 0) {
            found.places.add(() -> source.fetchSource(Mark.source()));
        }
        if (source.collapse() != null && source.collapse().getInnerHits() != null) {
            // Each group is a search of its own.
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
