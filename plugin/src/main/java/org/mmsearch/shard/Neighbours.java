package org.mmsearch.shard;

import java.io.IOException;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.opensearch.knn.index.query.KNNQuery;

/** Limits a k-NN query to {@code k} hits per shard. Refers to a class of k-NN, so it is loaded only if there is a k-NN query. */
public final class Neighbours {

    private Neighbours() {}

    /**
     * Returns a query that matches at most the {@code k} best hits of the shard. k-NN's query for uncompressed faiss fields matches
     * {@code k} hits per segment; its other queries are returned unchanged.
     *
     * @param searcher the searcher of the shard
     * @param query a query of k-NN, rewritten by the searcher
     */
    public static Query ofShard(IndexSearcher searcher, Query query) throws IOException {
        if (query instanceof KNNQuery each && each.getK() > 0 && each.getRadius() == null && searcher.getLeafContexts().size() > 1) {
            return BestOfShard.of(searcher, query, each.getK());
        }
        return query;
    }
}
