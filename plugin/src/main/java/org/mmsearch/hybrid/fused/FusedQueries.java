package org.mmsearch.hybrid.fused;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

import org.opensearch.index.query.QueryShardContext;

/**
 * The fused queries of the searches that run on this node. The fetch phase finds them here, whatever query contains them.
 *
 * <p>All references are weak. A search references its queries, and a query (script, wildcard, phrase) may reference its search context, so
 * a strong reference would be a memory leak.
 */
public final class FusedQueries {

    private final Map<QueryShardContext, List<WeakReference<FusedQuery>>> queries = Collections.synchronizedMap(new WeakHashMap<>());

    void add(QueryShardContext context, FusedQuery query) {
        queries.computeIfAbsent(context, key -> new CopyOnWriteArrayList<>()).add(new WeakReference<>(query));
    }

    List<FusedQuery> of(QueryShardContext context) {
        List<WeakReference<FusedQuery>> found = queries.get(context);
        if (found == null) {
            return new ArrayList<>();
        }
        List<FusedQuery> alive = new ArrayList<>(found.size());
        for (WeakReference<FusedQuery> each : found) {
            FusedQuery query = each.get();
            if (query != null) {
                alive.add(query);
            }
        }
        return alive;
    }

    /** Returns the number of searches with entries. */
    int size() {
        return queries.size();
    }
}
