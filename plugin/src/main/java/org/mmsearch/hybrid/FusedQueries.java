package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;

import org.opensearch.index.query.QueryShardContext;

/**
 * The fused queries that each running search of this node has made, so that the fetch phase finds them whatever they are
 * wrapped in. An entry goes with its search.
 */
final class FusedQueries {

    private final Map<QueryShardContext, List<FusedQuery>> queries = Collections.synchronizedMap(new WeakHashMap<>());

    void add(QueryShardContext context, FusedQuery query) {
        queries.computeIfAbsent(context, key -> Collections.synchronizedList(new ArrayList<>())).add(query);
    }

    List<FusedQuery> of(QueryShardContext context) {
        List<FusedQuery> found = queries.get(context);
        return found == null ? List.of() : found;
    }
}
