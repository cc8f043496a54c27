package org.mmsearch.hybrid.search;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;

import org.opensearch.Version;
import org.opensearch.action.search.SearchContextId;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.search.SearchPhaseResult;
import org.opensearch.search.SearchShardTarget;
import org.opensearch.search.internal.AliasFilter;
import org.opensearch.search.query.QuerySearchResult;

/**
 * The reader contexts of one search. The first round of legs leaves its reader contexts open. Further rounds and the search itself use
 * them, so all see the same documents regardless of updates, merges, refreshes and other shard copies.
 */
final class ReaderContexts {

    private final Queue<ActionListener<String>> waiting = new ArrayDeque<>();
    private boolean busy;
    private Exception failure;
    private String id;
    private List<QuerySearchResult> open = List.of();
    private List<QuerySearchResult> usable = List.of();
    private SearchPhaseContext context;
    private Version oldest;
    private boolean released;

    /**
     * Runs a round in these readers after earlier rounds have ended. Rounds do not run concurrently: if a round fails on a shard, the
     * context there is released, and a concurrent round would only report a missing context.
     *
     * @param round receives the id of the readers as a point in time, or null if this round opens them; it must call {@link #ended} or
     *     {@link #failed}. It fails if an earlier round failed
     */
    void run(ActionListener<String> round) {
        String readers;
        Exception failed;
        synchronized (this) {
            failed = failure;
            if (busy && failed == null) {
                waiting.add(round);
                return;
            }
            busy = true;
            readers = id;
        }
        if (failed == null) {
            round.onResponse(readers);
        } else {
            round.onFailure(failed);
        }
    }

    /**
     * Keeps the reader contexts of the first round. Called when its query phase has ended.
     *
     * @param results the query results of the shards that responded
     * @param phases the context of the round's search, which can release the reader contexts
     * @param oldest the oldest version of the cluster's nodes
     */
    synchronized void keep(List<QuerySearchResult> results, SearchPhaseContext phases, Version oldest) {
        open = results;
        context = phases;
        this.oldest = oldest;
        if (released) {
            // The search has already ended, for example by cancellation.
            free();
            return;
        }
        use(results);
    }

    /** Excludes the readers of failed shards. A shard releases its context on failure. */
    synchronized void without(Set<ShardId> failed) {
        List<QuerySearchResult> left = usable.stream()
            .filter(result -> failed.contains(result.getSearchShardTarget().getShardId()) == false)
            .toList();
        if (left.size() < usable.size()) {
            use(left);
        }
    }

    private void use(List<QuerySearchResult> results) {
        usable = results;
        if (results.isEmpty()) {
            return;
        }
        Map<String, AliasFilter> filters = new HashMap<>();
        for (QuerySearchResult result : results) {
            filters.put(
                result.getSearchShardTarget().getShardId().getIndex().getUUID(),
                result.getShardSearchRequest().getAliasFilter()
            );
        }
        id = SearchContextId.encode(List.<SearchPhaseResult>copyOf(results), filters, oldest);
    }

    /** Returns the number of usable readers. */
    synchronized int size() {
        return usable.size();
    }

    /** Returns the shard if there is exactly one usable reader, else null. */
    synchronized ShardId only() {
        return usable.size() == 1 ? usable.get(0).getSearchShardTarget().getShardId() : null;
    }

    /** Returns the id of the readers as a point in time, or null if there are none. */
    synchronized String id() {
        return id;
    }

    /** Starts the next round. */
    void ended() {
        ActionListener<String> next;
        String readers;
        synchronized (this) {
            next = waiting.poll();
            readers = id;
            busy = next != null;
        }
        if (next != null) {
            next.onResponse(readers);
        }
    }

    /** Fails the waiting rounds, because the search fails and its contexts are released. */
    void failed(Exception why) {
        List<ActionListener<String>> others;
        synchronized (this) {
            failure = why;
            others = List.copyOf(waiting);
            waiting.clear();
        }
        others.forEach(round -> round.onFailure(why));
    }

    /** Releases the contexts. Further calls do nothing. */
    synchronized void release() {
        if (released == false) {
            released = true;
            free();
        }
    }

    private void free() {
        for (QuerySearchResult result : open) {
            release(result, context);
        }
        open = List.of();
    }

    /** Releases the reader context of a shard's result. A missing context or node is not an error. */
    static void release(QuerySearchResult result, SearchPhaseContext context) {
        SearchShardTarget target = result.getSearchShardTarget();
        try {
            context.sendReleaseSearchContext(
                result.getContextId(),
                context.getConnection(target.getClusterAlias(), target.getNodeId()),
                target.getOriginalIndices()
            );
        } catch (RuntimeException e) {
            context.getLogger().debug("the reader context of " + target + " was not released; it ends with its node or after its keep-alive", e);
        }
    }
}
