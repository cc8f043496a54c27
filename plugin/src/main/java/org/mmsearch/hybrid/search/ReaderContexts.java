package org.mmsearch.hybrid.search;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.function.Consumer;

import org.opensearch.Version;
import org.opensearch.action.search.SearchContextId;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.search.SearchPhaseResult;
import org.opensearch.search.SearchShardTarget;
import org.opensearch.search.internal.AliasFilter;
import org.opensearch.search.query.QuerySearchResult;

/**
 * The readers of one search: the first round of legs leaves its reader contexts open, and everything that follows, other rounds and
 * the search itself, is run in them, so that no update, merge, refresh or other copy comes between.
 */
final class ReaderContexts {

    private final Queue<Consumer<String>> waiting = new ArrayDeque<>();
    private boolean opening;
    private String id;
    private List<QuerySearchResult> open = List.of();
    private SearchPhaseContext context;
    private boolean released;

    /**
     * Runs a round in these readers: at once where it is the first one or they are open; else when they are.
     *
     * @param round is given the id of the readers, in the form of a point in time, or null where it is the one that opens them; that
     *     one calls {@link #opened}, or {@link #notOpened} where it fails
     */
    void run(Consumer<String> round) {
        String readers;
        synchronized (this) {
            if (id == null && opening) {
                waiting.add(round);
                return;
            }
            opening = true;
            readers = id;
        }
        round.accept(readers);
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
        if (released) {
            // The search ended meanwhile, as a cancelled one does.
            free();
            return;
        }
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

    /** @return the id of the readers, in the form of a point in time; null where none are kept */
    synchronized String id() {
        return id;
    }

    /** Lets the other rounds begin; where no reader was kept, the next of them is the first one. */
    void roundEnded() {
        while (true) {
            Consumer<String> next;
            String readers;
            synchronized (this) {
                next = waiting.poll();
                if (next == null) {
                    opening = id != null;
                    return;
                }
                readers = id;
            }
            next.accept(readers);
            if (readers == null) {
                return;
            }
        }
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
