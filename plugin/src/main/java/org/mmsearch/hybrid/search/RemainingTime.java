package org.mmsearch.hybrid.search;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.mmsearch.Deadline;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchRequestOperationsListener;

/**
 * Gives a search that has waited for something, an encoder or a round of legs, what is left of its timeout once it goes to its shards. The
 * engine would give it all of it again.
 */
public final class RemainingTime extends SearchRequestOperationsListener {

    private final Map<Long, Deadline> searches = new ConcurrentHashMap<>();

    /** @param task the search's, on this node */
    void begin(long task, Deadline deadline) {
        searches.put(task, deadline);
    }

    void end(long task) {
        searches.remove(task);
    }

    @Override
    protected void onPhaseStart(SearchPhaseContext context) {
        // At the first phase: what the shards are sent is made of the request as it is then.
        Deadline deadline = searches.remove(context.getTask().getId());
        SearchRequest request = context.getRequest();
        // The pages of a scroll all have the timeout that the first one is sent with.
        if (deadline != null && request.scroll() == null && (deadline.isShared() || HybridRewrite.isDiversified(request))) {
            // The caller's body may be sent again.
            request.source(request.source().shallowCopy().timeout(deadline.left()));
        }
    }
}
