package org.mmsearch.hybrid.search;

import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;

import org.mmsearch.BodyPipeline;
import org.mmsearch.Deadline;
import org.mmsearch.RunningSearch;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.TransportSearchAction;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.action.support.TimeoutTaskCancellationUtility;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.search.SearchService;
import org.opensearch.tasks.CancellableTask;
import org.opensearch.tasks.Task;
import org.opensearch.transport.client.Client;
import org.opensearch.transport.client.node.NodeClient;

/**
 * Manages the notes of each search. It selects the way of its hybrids before the search. After the search it adds failed shards, timeouts,
 * missing legs and the legs' profile to the response and releases resources.
 */
public final class SearchNotesFilter implements ActionFilter {

    private final String clause;
    private final Client client;
    private final ThreadContext context;
    private final Supplier<String> localNode;
    private final Function<SearchRequest, Way> ways;
    private final Predicate<SearchRequest> severalShards;
    private final ClusterSettings settings;
    private final RemainingTime remaining = new RemainingTime();
    private volatile TimeValue defaultTimeout;

    /**
     * @param clause the clause's name
     * @param client the node's client
     * @param localNode the node's id, known once the node has started
     * @param ways selects the way of a request
     * @param severalShards whether a request goes to several shards
     * @param settings the cluster settings
     */
    public SearchNotesFilter(
        String clause,
        Client client,
        Supplier<String> localNode,
        Function<SearchRequest, Way> ways,
        Predicate<SearchRequest> severalShards,
        ClusterSettings settings
    ) {
        this.clause = clause;
        this.client = client;
        this.context = client.threadPool().getThreadContext();
        this.localNode = localNode;
        this.ways = ways;
        this.severalShards = severalShards;
        this.settings = settings;
        defaultTimeout = settings.get(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING);
        settings.addSettingsUpdateConsumer(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING, timeout -> defaultTimeout = timeout);
    }

    /** Returns the listener that sets the remaining timeout; to be registered. */
    public RemainingTime remaining() {
        return remaining;
    }

    /** Returns the notes of the current thread's search, or null outside a search. */
    public SearchNotes current() {
        return context.getTransient(RunningSearch.KEY);
    }

    /** Returns the notes of the search of a rewrite, or null outside a search. */
    public SearchNotes of(QueryCoordinatorContext rewrite) {
        SearchNotes notes = HybridRewrite.notes(rewrite);
        return notes == null ? current() : notes;
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
        SearchRequest search = (SearchRequest) request;
        Deadline deadline = deadline(search);
        PointInTime.inherit(search);
        Way way = ways.apply(search);
        BodyPipeline.use(search, way != Way.NONE);
        SearchNotes notes = new SearchNotes(new TaskId(localNode.get(), task.getId()), search.pipeline(), deadline);
        notes.way(way);
        ActionListener<SearchResponse> answer = (ActionListener<SearchResponse>) listener;
        ActionListener<SearchResponse> noted = ActionListener.runBefore(
            ActionListener.map(
                ActionListener.delegateResponse(answer, (to, failure) -> to.onFailure(notes.shards().with(failure))),
                response -> NotedResponse.of(notes, response)
            ),
            () -> {
                notes.end();
                remaining.end(task.getId());
            }
        );
        if (deadline.exists()) {
            remaining.begin(task.getId(), deadline);
        }
        if (notes.way() != Way.POINT_IN_TIME || search.pointInTimeBuilder() != null || severalShards.test(search) == false) {
            proceed(task, action, request, notes, (ActionListener<Response>) noted, chain);
            return;
        }
        boolean inPart = settings.get(SearchService.DEFAULT_ALLOW_PARTIAL_SEARCH_RESULTS);
        ActionListener<SearchResponse> timed = cancelledInTime(task, noted);
        PointInTime.open(client, clause, search, notes, inPart, ActionListener.wrap(delete -> {
            ActionListener<SearchResponse> closed = ActionListener.runBefore(timed, delete::run);
            if (task instanceof CancellableTask cancellable && cancellable.isCancelled()) {
                closed.onFailure(new TaskCancelledException("the search was cancelled while the point in time of its hybrids was opened"));
            } else {
                proceed(task, action, request, notes, (ActionListener<Response>) closed, chain);
            }
        }, timed::onFailure));
    }

    /** Starts the time after which the search is cancelled now. OpenSearch would start it after the point in time is open. */
    private ActionListener<SearchResponse> cancelledInTime(Task task, ActionListener<SearchResponse> listener) {
        if (client instanceof NodeClient node && task instanceof CancellableTask cancellable) {
            TimeValue interval = settings.get(TransportSearchAction.SEARCH_CANCEL_AFTER_TIME_INTERVAL_SETTING);
            return TimeoutTaskCancellationUtility.wrapWithCancellationListener(node, cancellable, interval, listener, e -> {});
        }
        return listener;
    }

    private Deadline deadline(SearchRequest search) {
        TimeValue asked = search.source() == null ? null : search.source().timeout();
        return new Deadline(asked == null ? defaultTimeout : asked, System::nanoTime);
    }

    private <Request extends ActionRequest, Response extends ActionResponse> void proceed(
        Task task,
        String action,
        Request request,
        SearchNotes notes,
        ActionListener<Response> listener,
        ActionFilterChain<Request, Response> chain
    ) {
        // A nested search, such as one of _msearch or of a hybrid, has its own notes.
        ThreadContext.StoredContext outer = context.newStoredContext(true, List.of(RunningSearch.KEY));
        try {
            context.putTransient(RunningSearch.KEY, notes);
            chain.proceed(task, action, request, listener);
        } finally {
            outer.close();
        }
    }
}
