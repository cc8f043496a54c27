package org.mmsearch.hybrid;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.search.SearchService;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.RemoteClusterAware;

/**
 * The request that a hybrid stands in.
 *
 * @param clause the clause's name
 * @param request the request
 */
record HybridRequest(String clause, SearchRequest request) {

    /** Refuses what a fused window cannot answer. */
    HybridRequest validate() {
        if (request.scroll() != null) {
            refuse("does not go with scroll, whose pages would each be fused anew: use a point in time with from, size or search_after");
        }
        for (String index : request.indices()) {
            if (index.indexOf(RemoteClusterAware.REMOTE_CLUSTER_INDEX_SEPARATOR) >= 0) {
                refuse("does not reach remote clusters, got [" + index + "]: search each cluster by itself");
            }
        }
        if (request.source() != null && request.source().slice() != null) {
            refuse("does not go with [slice], whose parts would each be fused by themselves");
        }
        return this;
    }

    /**
     * Refuses pages that the fused window does not reach.
     *
     * @param window of the hybrid
     */
    void validate(int window) {
        SearchSourceBuilder source = request.source();
        if (source == null) {
            return;
        }
        if (source.query() instanceof HybridQueryBuilder) {
            int from = source.from() == -1 ? SearchService.DEFAULT_FROM : source.from();
            // A size that nobody asked for is no reason to refuse a small window.
            int size = source.size() == -1 ? Math.clamp(window - from, 0, SearchService.DEFAULT_SIZE) : source.size();
            if ((long) from + size > window) {
                refuse(
                    "expected from + size to lie within its window of " + window + ", got " + from + " + " + size
                        + ": raise [pagination_depth]"
                );
            }
        }
    }

    private void refuse(String why) {
        throw new IllegalArgumentException("[" + clause + "] " + why);
    }
}
