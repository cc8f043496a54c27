package org.mmsearch;

import org.opensearch.action.ActionRequest;
import org.opensearch.action.fieldcaps.FieldCapabilitiesAction;
import org.opensearch.action.fieldcaps.FieldCapabilitiesRequest;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.tasks.Task;

/**
 * Refuses mmsearch's clauses in the {@code index_filter} of a {@code _field_caps} request. Shards alone look at it, which cannot rewrite
 * the clauses, and the engine takes an index whose shards fail for one that does not match.
 */
final class IndexFilterCheck implements ActionFilter {

    @Override
    public int order() {
        return 0;
    }

    @Override
    public <Request extends ActionRequest, Response extends ActionResponse> void apply(
        Task task,
        String action,
        Request request,
        ActionRequestMetadata<Request, Response> metadata,
        ActionListener<Response> listener,
        ActionFilterChain<Request, Response> chain
    ) {
        if (FieldCapabilitiesAction.NAME.equals(action) && request instanceof FieldCapabilitiesRequest fields) {
            String clause = OurClauses.first(fields.indexFilter());
            if (clause != null) {
                listener.onFailure(
                    new IllegalArgumentException(
                        "expected an [index_filter] that each shard can judge by itself, got [" + clause
                            + "], which finds neighbours in every index that has its field: leave it out, or give what it filters by"
                    )
                );
                return;
            }
        }
        chain.proceed(task, action, request, listener);
    }
}
