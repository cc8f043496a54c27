package org.mmsearch.shard;

import java.io.IOException;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.opensearch.knn.index.query.KNNQuery;

/** Cuts nearest neighbors at their {@code k}. It knows a class of k-NN, so only where a query of k-NN's is at hand is it loaded. */
public final class Neighbours {

    private Neighbours() {}

    /**
     * @param searcher of a shard
     * @param query of k-NN, rewritten for the searcher
     * @return a query with the {@code k} best hits of the shard at most: the one by which faiss searches vectors that are not quantised
     *     has as many in each segment; k-NN's others have not
     */
    public static Query ofShard(IndexSearcher searcher, Query query) throws IOException {
        if (query instanceof KNNQuery each && each.getK() > 0 && each.getRadius() == null && searcher.getLeafContexts().size() > 1) {
            return BestOfShard.of(searcher, query, each.getK());
        }
        return query;
    }
}
