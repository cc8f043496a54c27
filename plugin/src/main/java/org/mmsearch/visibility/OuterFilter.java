package org.mmsearch.visibility;

import java.io.IOException;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.opensearch.search.internal.SearchContext;

/**
 * The filter of a search on a shard that is not part of its query: the alias filter and the rules of document-level security. Whatever
 * selects the top documents (a k-NN query, a window of a hybrid's leg) must select among the documents that match this filter.
 *
 * <p>Only the shard knows the filter, and the security rules exist only after the query phase has started. Call these methods when
 * weights are created, not earlier.
 */
public final class OuterFilter {

    private OuterFilter() {}

    /**
     * Returns the outer filter of a search.
     *
     * @param searcher a searcher of the shard
     * @return the filter, or null if there is none
     * @throws IOException if the search context cannot be determined
     */
    public static Query of(IndexSearcher searcher) throws IOException {
        return of(SearchContexts.of(searcher));
    }

    /**
     * Returns the outer filter of a search.
     *
     * @param search the search on the shard, or null
     * @return the filter, or null if there is none
     */
    public static Query of(SearchContext search) {
        if (search == null) {
            return null;
        }
        Query alias = search.aliasFilter();
        Query rules = SecurityRules.of(search);
        if (alias == null || rules == null) {
            return alias == null ? rules : alias;
        }
        return new BooleanQuery.Builder().add(alias, Occur.FILTER).add(rules, Occur.FILTER).build();
    }

    /**
     * Adds a filter to a query without changing its scores.
     *
     * @param query a query on the shard
     * @param filter the result of {@link #of}
     * @return the filtered query; the query itself if the filter is null or if the query applies the filter by itself
     */
    public static Query on(Query query, Query filter) {
        if (filter == null || filtersItself(query)) {
            return query;
        }
        return new BooleanQuery.Builder().add(query, Occur.MUST).add(filter, Occur.FILTER).build();
    }

    private static boolean filtersItself(Query query) {
        return query instanceof KnnQuery || query instanceof BoostQuery boosted && boosted.getQuery() instanceof KnnQuery;
    }
}
