package org.mmsearch.visibility;

import java.io.IOException;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.mmsearch.shard.SearchContexts;
import org.opensearch.search.internal.SearchContext;

/**
 * What decides which documents of a shard a search may find at all, from outside its query: the filter of the alias it came by,
 * and the rules of document-level security. Whatever chooses documents by rank has to choose among these: nearest neighbours,
 * and the windows of a hybrid's legs.
 *
 * <p>Both are known on the shard alone, and security's only once the query phase has begun: ask when weights are made, not
 * before.
 */
public final class OuterFilter {

    private OuterFilter() {}

    /**
     * @param searcher of a shard
     * @return a filter, or null where the search may find everything
     */
    public static Query of(IndexSearcher searcher) throws IOException {
        return of(SearchContexts.of(searcher));
    }

    /**
     * @param search of a shard, or null
     * @return a filter, or null where the search may find everything
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
     * Puts a filter on a query whose scores stay as they are.
     *
     * @param query of a shard
     * @param filter as {@link #of} gives it; null leaves the query as it is
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
