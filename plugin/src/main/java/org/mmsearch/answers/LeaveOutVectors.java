package org.mmsearch.answers;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

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
 * Excludes vectors from search responses whose request does not specify {@code _source}. Vectors are rarely read by the caller and
 * make up most of the response.
 *
 * <p>Applies to REST {@code _search} and {@code _msearch} only. Scrolls and points in time are used to copy an index, a document from
 * the get API may be written back, and internal searches may read the vectors; these responses stay complete.
 */
final class LeaveOutVectors implements ActionFilter {

    private final ClusterService cluster;
    private final RequestIndices indices;
    private final MappedSources mappings = new MappedSources();
    private volatile boolean on;

    /** Subscribes to changes of the node setting. */
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
            if (on) {
                List<Runnable> places = unsaid(request);
                // The stack walk is the most expensive check, so it comes last.
                if (places.isEmpty() == false && RestCaller.isSearch()) {
                    places.forEach(Runnable::run);
                }
            }
        } catch (Exception e) {
            listener.onFailure(e);
            return;
        }
        chain.proceed(task, action, request, listener);
    }

    /** Returns one action per place of the request that must be marked; empty if no vectors would be returned. */
    private List<Runnable> unsaid(ActionRequest request) {
        return switch (request) {
            case SearchRequest search -> unsaid(search);
            case MultiSearchRequest searches -> searches.requests().stream().flatMap(search -> unsaid(search).stream()).toList();
            default -> List.of();
        };
    }

    private List<Runnable> unsaid(SearchRequest search) {
        SearchSourceBuilder given = search.source();
        SearchSourceBuilder source = given == null ? new SearchSourceBuilder() : given;
        if (search.scroll() != null || source.pointInTimeBuilder() != null || SearchSources.unsaid(source, true).isEmpty()) {
            return List.of();
        }
        // This node has no mappings of remote indices, and they share the request body with local ones: do not mark it.
        Found found = remote(search) ? NOTHING : found(search);
        if (found.vectors() == false) {
            return List.of();
        }
        List<Runnable> places = new ArrayList<>(SearchSources.unsaid(source, found.sources()));
        if (given == null) {
            places.add(() -> search.source(source));
        }
        return places;
    }

    private static boolean remote(SearchRequest search) {
        return Arrays.stream(search.indices()).anyMatch(name -> name != null && RequestIndices.remote(name));
    }

    /**
     * Properties of the indices of a request.
     *
     * @param vectors whether any index has vectors to exclude
     * @param sources whether all indices store {@code _source}
     */
    private record Found(boolean vectors, boolean sources) {}

    private static final Found NOTHING = new Found(false, true);

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
