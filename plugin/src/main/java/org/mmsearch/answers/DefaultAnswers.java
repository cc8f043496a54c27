package org.mmsearch.answers;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

import org.mmsearch.RequestIndices;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.get.GetRequest;
import org.opensearch.action.get.MultiGetRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.index.Index;
import org.opensearch.rest.RestHeaderDefinition;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.tasks.Task;

/**
 * Leaves vectors out of answers that did not ask for them, since nobody reads them and they are most of the bytes.
 *
 * <p>Only requests that come in by REST and do not scroll: {@code _reindex}, {@code _update_by_query} and partial updates read
 * sources by searches of their own and must find everything there, and a scroll is how an index is exported.
 */
public final class DefaultAnswers implements ActionFilter {

    /** A header that every HTTP/1.1 request has; REST copies it into the thread context, which marks what came in by REST. */
    private static final String REST = "Host";

    private final ThreadContext context;
    private final ClusterService cluster;
    private final RequestIndices indices;
    private final NamedWriteableRegistry registry;
    private final VectorPaths paths = new VectorPaths();

    /** What the node's REST layer copies for this filter. */
    public static RestHeaderDefinition restHeader() {
        return new RestHeaderDefinition(REST, true);
    }

    /** Collaborators are the node's. */
    public DefaultAnswers(
        ThreadContext context,
        ClusterService cluster,
        IndexNameExpressionResolver resolver,
        NamedWriteableRegistry registry
    ) {
        this.context = context;
        this.cluster = cluster;
        this.indices = new RequestIndices(cluster::state, resolver);
        this.registry = registry;
    }

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
        try {
            if (context.getHeader(REST) != null) {
                leaveOut(request);
            }
        } catch (Exception e) {
            listener.onFailure(e);
            return;
        }
        chain.proceed(task, action, request, listener);
    }

    private void leaveOut(ActionRequest request) {
        switch (request) {
            case SearchRequest search when search.scroll() == null -> {
                List<String> vectors = vectors(indices(search));
                if (vectors.isEmpty() == false) {
                    if (search.source() == null) {
                        search.source(new SearchSourceBuilder());
                    }
                    SearchSources.leaveOut(search.source(), vectors);
                }
            }
            case GetRequest get when get.fetchSourceContext() == null && get.storedFields() == null -> get.fetchSourceContext(
                SearchSources.without(vectors(indices.known(get.index())), null)
            );
            case MultiGetRequest gets -> {
                for (MultiGetRequest.Item item : gets.getItems()) {
                    if (item.fetchSourceContext() == null && item.storedFields() == null) {
                        item.fetchSourceContext(SearchSources.without(vectors(indices.known(item.index())), null));
                    }
                }
            }
            default -> {
                // Nothing else answers with sources.
            }
        }
    }

    private Index[] indices(SearchRequest search) {
        Index[] pointInTime = RequestIndices.pointInTime(search, registry);
        return pointInTime == null ? indices.known(search.indices()) : pointInTime;
    }

    private List<String> vectors(Index[] indices) {
        ClusterState state = cluster.state();
        List<IndexMetadata> found = new ArrayList<>(indices.length);
        for (Index index : indices) {
            found.add(state.metadata().index(index));
        }
        found.removeIf(Objects::isNull);
        return paths.of(found);
    }
}
