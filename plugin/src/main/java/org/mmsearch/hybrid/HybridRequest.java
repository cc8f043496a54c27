package org.mmsearch.hybrid;

import org.mmsearch.RequestIndices;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.index.Index;
import org.opensearch.index.IndexSettings;
import org.opensearch.search.SearchService;
import org.opensearch.search.builder.SearchSourceBuilder;

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
            refuse("does not go with scroll, whose pages would each be fused again and which [_reindex], [_update_by_query] and [_delete_by_query] use"
                    + " too: search in a point in time with from, size or search_after, and choose documents to write by one of its queries");
        }
        for (String index : request.indices()) {
            if (RequestIndices.remote(index)) {
                refuse("does not reach remote clusters, got [" + index + "]: search each cluster by itself");
            }
        }
        if (request.source() != null && request.source().slice() != null) {
            refuse("does not go with [slice], whose parts would each be fused by themselves");
        }
        return this;
    }

    /**
     * The window that reaches the request's page, where nobody names one.
     *
     * @param indices that the request goes to
     * @param state of the cluster
     */
    int page(Index[] indices, ClusterState state) {
        SearchSourceBuilder source = request.source();
        if (source == null) {
            return HybridQueryBuilder.DEFAULT_WINDOW;
        }
        int size = source.size() == -1 ? SearchService.DEFAULT_SIZE : source.size();
        long end = (long) Math.max(source.from(), SearchService.DEFAULT_FROM) + size;
        if (end <= HybridQueryBuilder.DEFAULT_WINDOW) {
            return HybridQueryBuilder.DEFAULT_WINDOW;
        }
        for (Index index : indices) {
            IndexMetadata metadata = state.metadata().index(index);
            int most = IndexSettings.MAX_RESULT_WINDOW_SETTING.get(metadata == null ? Settings.EMPTY : metadata.getSettings());
            if (end > most) {
                refuse(
                    "expected from + size to lie within [" + IndexSettings.MAX_RESULT_WINDOW_SETTING.getKey() + "] of " + most + " of ["
                        + index.getName() + "], got " + end + ": ask for less, or raise that setting"
                );
            }
        }
        return (int) end;
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
