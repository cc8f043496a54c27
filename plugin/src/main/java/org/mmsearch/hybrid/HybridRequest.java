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
 * The request that contains a hybrid.
 *
 * @param clause the clause's name
 * @param request the request
 */
record HybridRequest(String clause, SearchRequest request) {

    /**
     * Rejects scroll, slices and remote clusters.
     *
     * @throws IllegalArgumentException with the alternative
     */
    HybridRequest validate() {
        if (request.scroll() != null) {
            refuse("does not support scroll, which [_reindex], [_update_by_query] and [_delete_by_query] use too: "
                    + "search in a point in time with from, size or search_after, and select documents to write with one of its queries");
        }
        for (String index : request.indices()) {
            if (RequestIndices.remote(index)) {
                refuse("does not support remote clusters, got [" + index + "]: search each cluster separately");
            }
        }
        if (request.source() != null && request.source().slice() != null) {
            refuse("does not support [slice], because each slice would be fused separately: leave it out");
        }
        return this;
    }

    /**
     * Returns the window that contains the requested page.
     *
     * @param indices the indices of the request
     * @param state the cluster state
     * @throws IllegalArgumentException if the page exceeds an index's {@code max_result_window}
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
                    "expected from + size to be within [" + IndexSettings.MAX_RESULT_WINDOW_SETTING.getKey() + "] of " + most + " of ["
                        + index.getName() + "], got " + end + ": reduce it or increase the setting"
                );
            }
        }
        return (int) end;
    }

    /**
     * Rejects pages beyond the fused window.
     *
     * @param window the hybrid's window
     * @throws IllegalArgumentException if {@code from + size} exceeds the window
     */
    void validate(int window) {
        SearchSourceBuilder source = request.source();
        if (source == null) {
            return;
        }
        if (source.query() instanceof HybridQueryBuilder) {
            int from = source.from() == -1 ? SearchService.DEFAULT_FROM : source.from();
            // Without an explicit size, the default is reduced to the window.
            int size = source.size() == -1 ? Math.clamp(window - from, 0, SearchService.DEFAULT_SIZE) : source.size();
            if ((long) from + size > window) {
                refuse(
                    "expected from + size to be within its window of " + window + ", got " + from + " + " + size
                        + ": raise [pagination_depth]"
                );
            }
        }
    }

    private void refuse(String why) {
        throw new IllegalArgumentException("[" + clause + "] " + why);
    }
}
