package org.mmsearch.hybrid.candidates;

import java.util.List;

import org.mmsearch.hybrid.legs.ShardWindows;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.search.query.QuerySearchResult;

/** Takes what the legs found out of a search between its query phase and its fetch phase, which then has nothing to do. */
@FunctionalInterface
public interface Capture {

    /**
     * @param windows of the shards that answered, in the order of {@link ShardWindows#BY_SHARD}
     * @param results of these shards, whose reader contexts stay open
     * @param context of the search
     */
    void take(List<ShardWindows> windows, List<QuerySearchResult> results, SearchPhaseContext context);
}
