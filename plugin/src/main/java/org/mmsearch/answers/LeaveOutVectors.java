package org.mmsearch.answers;

import java.util.Arrays;

import org.mmsearch.RequestIndices;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.search.MultiSearchRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.index.Index;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.tasks.Task;

/**
 * Leaves vectors out of answers that did not ask for them, since nobody reads them and they are most of the bytes.
 *
 * <p>Only of {@code _search} and {@code _msearch} by REST, whose answers are read by people and pages. Whoever scrolls or keeps a
 * point in time copies an index, whoever gets a document may write it back, and a search inside the node has its own reasons:
 * they find everything.
 */
final class LeaveOutVectors implements ActionFilter {

    private final ClusterService cluster;
    private final RequestIndices indices;
    private final MappedSources mappings = new MappedSources();
    private volatile boolean on;

    /** Collaborators are the node's. */
    LeaveOutVectors(ClusterService cluster, IndexNameExpressionResolver resolver) {
        this.cluster = cluster;
        this.indices = new RequestIndices(cluster::state, resolver);
        on = AnswersFeature.NODE.get(cluster.getSettings());
        cluster.getClusterSettings().addSettingsUpdateConsumer(AnswersFeature.NODE, value -> on = value);
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
            if (on && request instanceof SearchRequest search && concerned(search) && RestCaller.isSearch()) {
                mark(search);
            } else if (on && request instanceof MultiSearchRequest searches && searches.requests().stream().anyMatch(this::concerned)
                && RestCaller.isSearch()) {
                searches.requests().stream().filter(this::concerned).forEach(this::mark);
            }
        } catch (Exception e) {
            listener.onFailure(e);
            return;
        }
        chain.proceed(task, action, request, listener);
    }

    /** Whether anything is to be left out; other clusters' indices are none of this one's business, and one request is theirs too. */
    private boolean concerned(SearchRequest search) {
        return search.scroll() == null
            && search.pointInTimeBuilder() == null
            && Arrays.stream(search.indices()).noneMatch(name -> name != null && RequestIndices.remote(name))
            && found(search).vectors();
    }

    private void mark(SearchRequest search) {
        if (search.source() == null) {
            search.source(new SearchSourceBuilder());
        }
        SearchSources.mark(search.source(), found(search).sources());
    }

    /**
     * What a request's indices hold.
     *
     * @param vectors whether any has vectors to leave out
     * @param sources whether all keep their sources
     */
    private record Found(boolean vectors, boolean sources) {}

    private Found found(SearchRequest search) {
        boolean vectors = false;
        boolean sources = true;
        for (Index index : indices.known(search.indices())) {
            IndexMetadata metadata = cluster.state().metadata().index(index);
            if (metadata != null) {
                MappedSources.Mapped mapped = mappings.of(metadata);
                vectors |= mapped.vectors() && AnswersFeature.INDEX.get(metadata.getSettings());
                sources &= mapped.source();
            }
        }
        return new Found(vectors, sources);
    }
}
