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
 * The readers of one search: the first round of legs leaves its reader contexts open, and everything that follows, other rounds and
 * the search itself, is run in them, so that no update, merge, refresh or other copy comes between.
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
     * Runs a round in these readers when those before it have ended: where one fails on a shard, its context there is free, and another at
     * the same time would find none and say no more than that.
     *
     * @param round is given the id of the readers, in the form of a point in time, or null where it is to open them; it calls {@link #ended}
     *     or {@link #failed} then. It fails where one before it has
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
     * Keeps the reader contexts of the first round, from the moment that its legs have run.
     *
     * @param results of the shards that answered
     * @param phases the round's search, which knows how to free them
     * @param oldest version of the cluster's nodes
     */
    synchronized void keep(List<QuerySearchResult> results, SearchPhaseContext phases, Version oldest) {
        open = results;
        context = phases;
        this.oldest = oldest;
        if (released) {
            // The search ended meanwhile, as a cancelled one does.
            free();
            return;
        }
        use(results);
    }

    /** Leaves out the readers of shards that have failed: a shard frees its context when something fails in it. */
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

    /** @return how many readers there are */
    synchronized int size() {
        return usable.size();
    }

    /** @return the only shard that there is a reader of, or null where there are several */
    synchronized ShardId only() {
        return usable.size() == 1 ? usable.get(0).getSearchShardTarget().getShardId() : null;
    }

    /** @return the id of the readers, in the form of a point in time; null where none are kept */
    synchronized String id() {
        return id;
    }

    /** Lets the next round begin. */
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

    /** Fails the rounds that wait: the search fails with this one, and the contexts are free, or will be. */
    void failed(Exception why) {
        List<ActionListener<String>> others;
        synchronized (this) {
            failure = why;
            others = List.copyOf(waiting);
            waiting.clear();
        }
        others.forEach(round -> round.onFailure(why));
    }

    /** Frees the contexts, once; what is already free stays so. */
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

    /** Frees the reader context of a shard's result; one that is gone is no error, and a node that is gone has freed it. */
    static void release(QuerySearchResult result, SearchPhaseContext context) {
        SearchShardTarget target = result.getSearchShardTarget();
        try {
            context.sendReleaseSearchContext(
                result.getContextId(),
                context.getConnection(target.getClusterAlias(), target.getNodeId()),
                target.getOriginalIndices()
            );
        } catch (RuntimeException e) {
            context.getLogger().debug("the reader context of " + target + " ends with its node or at its keep-alive", e);
        }
    }
}
