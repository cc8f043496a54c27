package org.mmsearch.hybrid.search;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.mmsearch.Deadline;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchRequestOperationsListener;

/**
 * Sets the timeout of a search's shard requests to the time that is left after encoder calls and rounds of legs. OpenSearch would start the
 * timeout again.
 */
public final class RemainingTime extends SearchRequestOperationsListener {

    private final Map<Long, Deadline> searches = new ConcurrentHashMap<>();

    /** @param task the id of the search's task on this node */
    void begin(long task, Deadline deadline) {
        searches.put(task, deadline);
    }

    void end(long task) {
        searches.remove(task);
    }

    @Override
    protected void onPhaseStart(SearchPhaseContext context) {
        // The first phase builds the shard requests from the request.
        Deadline deadline = searches.remove(context.getTask().getId());
        SearchRequest request = context.getRequest();
        // All pages of a scroll use the timeout of the first request, so it is not changed.
        if (deadline != null && request.scroll() == null && (deadline.isShared() || HybridRewrite.isDiversified(request))) {
            // Copy the body, because the caller may send it again.
            request.source(request.source().shallowCopy().timeout(deadline.left()));
        }
    }
}
