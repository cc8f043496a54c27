package org.mmsearch.answers;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.common.regex.Regex;
import org.opensearch.index.query.InnerHitBuilder;
import org.opensearch.index.query.InnerHitContextBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.aggregations.AggregationBuilder;
import org.opensearch.search.aggregations.metrics.TopHitsAggregationBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.search.fetch.subphase.FieldAndFormat;

/** Every place of a search body that returns sources: the hits, inner hits, collapsed groups, top hits. */
final class SearchSources {

    private SearchSources() {}

    /**
     * Leaves fields out of each place whose {@code _source} the request says nothing about.
     *
     * @param source the body
     * @param vectors paths of the fields
     */
    static void leaveOut(SearchSourceBuilder source, List<String> vectors) {
        if (source.fetchSource() == null && source.storedFields() == null) {
            source.fetchSource(without(vectors, source.fetchFields()));
        }
        if (source.collapse() != null && source.collapse().getInnerHits() != null) {
            source.collapse().getInnerHits().forEach(inner -> leaveOut(inner, vectors));
        }
        innerHits(source.query(), vectors);
        innerHits(source.postFilter(), vectors);
        if (source.aggregations() != null) {
            topHits(source.aggregations().getAggregatorFactories(), vectors);
        }
    }

    private static void innerHits(QueryBuilder query, List<String> vectors) {
        if (query == null) {
            return;
        }
        Map<String, InnerHitContextBuilder> found = new HashMap<>();
        InnerHitContextBuilder.extractInnerHits(query, found);
        found.values().forEach(inner -> leaveOut(inner.innerHitBuilder(), vectors));
    }

    private static void leaveOut(InnerHitBuilder inner, List<String> vectors) {
        if (inner.getFetchSourceContext() == null && inner.getStoredFieldsContext() == null) {
            inner.setFetchSourceContext(without(vectors, inner.getFetchFields()));
        }
        if (inner.getInnerCollapseBuilder() != null && inner.getInnerCollapseBuilder().getInnerHits() != null) {
            inner.getInnerCollapseBuilder().getInnerHits().forEach(deeper -> leaveOut(deeper, vectors));
        }
    }

    private static void topHits(Collection<AggregationBuilder> aggregations, List<String> vectors) {
        for (AggregationBuilder aggregation : aggregations) {
            if (aggregation instanceof TopHitsAggregationBuilder hits && hits.fetchSource() == null && hits.storedFields() == null) {
                hits.fetchSource(without(vectors, hits.fetchFields()));
            }
            topHits(aggregation.getSubAggregations(), vectors);
        }
    }

    /** A source without the vectors, but with those that {@code fields} asks for, which is filled from the source. */
    static FetchSourceContext without(List<String> vectors, List<FieldAndFormat> fields) {
        String[] excludes = vectors.stream()
            .filter(vector -> fields == null || fields.stream().noneMatch(asked -> Regex.simpleMatch(asked.field, vector)))
            .toArray(String[]::new);
        return excludes.length == 0 ? null : new FetchSourceContext(true, null, excludes);
    }
}
