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
 * Rejects mmsearch's clauses in the {@code index_filter} of a {@code _field_caps} request. Only shards evaluate that filter, and they
 * cannot rewrite the clauses. Without this check, OpenSearch would treat the failed shards as shards that do not match.
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
                        "expected an [index_filter] without mmsearch's clauses, got [" + clause
                            + "], which shards cannot rewrite: remove it, or use the query of its [filter] instead"
                    )
                );
                return;
            }
        }
        chain.proceed(task, action, request, listener);
    }
}
