package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

import org.opensearch.action.ActionRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchResponseSections;
import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.search.SearchExtBuilder;
import org.opensearch.search.aggregations.InternalAggregations;
import org.opensearch.search.internal.InternalSearchResponse;
import org.opensearch.search.profile.ProfileShardResult;
import org.opensearch.search.profile.SearchProfileShardResults;
import org.opensearch.tasks.Task;

/**
 * Gives each search a place where its hybrids leave what the answer must say: failed shards and timeouts of their legs, legs left
 * out, the legs' profile.
 */
final class SearchNotesFilter implements ActionFilter {

    private static final String NOTES = "mmsearch.notes";

    private final ThreadContext context;
    private final Supplier<String> localNode;

    SearchNotesFilter(ThreadContext context, Supplier<String> localNode) {
        this.context = context;
        this.localNode = localNode;
    }

    /** The notes of the search that this thread works for, or null outside a search. */
    SearchNotes current() {
        return context.getTransient(NOTES);
    }

    @Override
    public int order() {
        return 0;
    }

    @Override
    @SuppressWarnings("unchecked")
    public <Request extends ActionRequest, Response extends ActionResponse> void apply(
        Task task,
        String action,
        Request request,
        ActionRequestMetadata<Request, Response> metadata,
        ActionListener<Response> listener,
        ActionFilterChain<Request, Response> chain
    ) {
        if (SearchAction.NAME.equals(action) == false) {
            chain.proceed(task, action, request, listener);
            return;
        }
        SearchNotes notes = new SearchNotes(new TaskId(localNode.get(), task.getId()), ((SearchRequest) request).pipeline());
        ActionListener<Response> noted = ActionListener.wrap(
            response -> listener.onResponse((Response) add(notes, (SearchResponse) response)),
            listener::onFailure
        );
        // A search inside another one, as _msearch and hybrid make them, has its own notes.
        ThreadContext.StoredContext outer = context.newStoredContext(true, List.of(NOTES));
        try {
            context.putTransient(NOTES, notes);
            chain.proceed(task, action, request, noted);
        } finally {
            outer.close();
        }
    }

    static SearchResponse add(SearchNotes notes, SearchResponse response) {
        if (notes.isEmpty()) {
            return response;
        }
        List<ShardSearchFailure> failures = new ArrayList<>(List.of(response.getShardFailures()));
        Set<Object> failed = new HashSet<>();
        failures.forEach(failure -> failed.add(failure.shard() == null ? failure : failure.shard().getShardId()));
        int before = failed.size();
        for (ShardSearchFailure failure : notes.failures()) {
            if (failed.add(failure.shard() == null ? failure : failure.shard().getShardId())) {
                failures.add(failure);
            }
        }
        Map<String, ProfileShardResult> profiles = new LinkedHashMap<>(response.getProfileResults());
        profiles.putAll(notes.profiles());
        List<SearchExtBuilder> exts = new ArrayList<>();
        if (response.getInternalResponse() != null) {
            exts.addAll(response.getInternalResponse().getSearchExtBuilders());
        }
        if (notes.degraded().isEmpty() == false) {
            exts.add(new MmsearchExt(notes.degraded()));
        }
        SearchResponseSections sections = new InternalSearchResponse(
            response.getHits(),
            (InternalAggregations) response.getAggregations(),
            response.getSuggest(),
            profiles.isEmpty() ? null : new SearchProfileShardResults(profiles),
            response.isTimedOut() || notes.isTimedOut(),
            response.isTerminatedEarly(),
            response.getNumReducePhases(),
            exts,
            response.getInternalResponse() == null ? List.of() : response.getInternalResponse().getProcessorResult()
        );
        return new SearchResponse(
            sections,
            response.getScrollId(),
            response.getTotalShards(),
            response.getSuccessfulShards() - (failed.size() - before),
            response.getSkippedShards(),
            response.getTook().millis(),
            response.getPhaseTook(),
            failures.toArray(ShardSearchFailure[]::new),
            response.getClusters(),
            response.pointInTimeId()
        );
    }
}
