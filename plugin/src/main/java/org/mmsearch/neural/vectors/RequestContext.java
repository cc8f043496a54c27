package org.mmsearch.neural.vectors;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;

import org.mmsearch.RunningSearch;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.action.support.ActionFilterChain;
import org.opensearch.action.support.ActionRequestMetadata;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.tasks.CancellableTask;
import org.opensearch.tasks.Task;
import org.opensearch.tasks.TaskManager;

/**
 * Connects a rewrite with its search: cancellation, and the vectors that the same request has already encoded. OpenSearch does not pass the
 * task to a rewrite. So this action filter puts both into the thread context, and the rewrite reads them on the same thread.
 */
public final class RequestContext implements ActionFilter, TaskManager.TaskEventListeners {

    private static final String TASK = "mmsearch.task";
    private static final String VECTORS = "mmsearch.vectors";

    private final ThreadContext context;
    private final Supplier<String> node;
    private final Map<Long, Map<VectorKey, float[]>> requests = new ConcurrentHashMap<>();
    private final Map<CancellableTask, List<Runnable>> watched = new ConcurrentHashMap<>();

    /**
     * @param context the node's thread context
     * @param node supplies the node's id, known once the node has started
     */
    public RequestContext(ThreadContext context, Supplier<String> node) {
        this.context = context;
        this.node = node;
    }

    /**
     * Watches the current thread's search for cancellation.
     *
     * @param action called once if the search is cancelled; at once if it is already cancelled
     * @return ends the watch
     */
    Runnable watch(Runnable action) {
        CancellableTask task = context.getTransient(TASK);
        if (task == null) {
            return () -> {};
        }
        watched.computeIfAbsent(task, t -> new CopyOnWriteArrayList<>()).add(action);
        if (task.isCancelled()) {
            onTaskCancelled(task);
        }
        return () -> watched.computeIfPresent(task, (t, actions) -> {
            actions.remove(action);
            return actions.isEmpty() ? null : actions;
        });
    }

    /** Returns the vectors of the request. The searches of a {@code _msearch} and the legs of a hybrid share them. */
    Map<VectorKey, float[]> vectors() {
        Map<VectorKey, float[]> vectors = context.getTransient(VECTORS);
        return vectors == null ? new ConcurrentHashMap<>() : vectors;
    }

    /** The key of a vector within a request. */
    record VectorKey(EncoderModel model, EncoderInput input) {}

    /** Returns the task of the current thread's search, or null. */
    public TaskId task() {
        CancellableTask task = context.getTransient(TASK);
        return task == null ? null : new TaskId(node.get(), task.getId());
    }

    /** Returns the current thread's search. */
    public RunningSearch search() {
        return RunningSearch.of(context);
    }

    @Override
    public void onTaskCancelled(CancellableTask task) {
        List<Runnable> actions = watched.remove(task);
        if (actions != null) {
            actions.forEach(Runnable::run);
        }
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
        if (action.startsWith("indices:data/read/") == false || task instanceof CancellableTask == false) {
            chain.proceed(task, action, request, listener);
            return;
        }
        Map<VectorKey, float[]> vectors = vectorsOf(request.getParentTask());
        requests.put(task.getId(), vectors);
        // A nested search, such as one of _msearch or of a hybrid, has its own task.
        ThreadContext.StoredContext outer = context.newStoredContext(true, List.of(TASK, VECTORS));
        try {
            context.putTransient(TASK, task);
            context.putTransient(VECTORS, vectors);
            chain.proceed(task, action, request, ActionListener.runAfter(listener, () -> requests.remove(task.getId())));
        } finally {
            outer.close();
        }
    }

    /** Returns the vectors of the parent task's request, or an empty map for a new request. */
    private Map<VectorKey, float[]> vectorsOf(TaskId parent) {
        Map<VectorKey, float[]> vectors = parent.isSet() && parent.getNodeId().equals(node.get()) ? requests.get(parent.getId()) : null;
        return vectors == null ? new ConcurrentHashMap<>() : vectors;
    }
}
