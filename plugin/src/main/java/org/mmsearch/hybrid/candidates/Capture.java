package org.mmsearch.hybrid.candidates;

import java.util.List;

import org.mmsearch.hybrid.legs.ShardWindows;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.search.query.QuerySearchResult;

/** Receives the windows of the legs between the query phase and the fetch phase of a search. The fetch phase then fetches nothing. */
@FunctionalInterface
public interface Capture {

    /**
     * Receives the windows.
     *
     * @param windows the windows of the shards that responded, in the order of {@link ShardWindows#BY_SHARD}
     * @param results the query results of these shards; their reader contexts stay open
     * @param context the context of the search
     */
    void take(List<ShardWindows> windows, List<QuerySearchResult> results, SearchPhaseContext context);
}
