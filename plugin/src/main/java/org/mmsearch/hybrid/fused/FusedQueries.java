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
 * The fused queries that each running search of this node has made, so that the fetch phase finds them whatever they are
 * wrapped in.
 *
 * <p>Nothing is kept alive from here. The search holds its queries, and a query may hold its search's context (scripts, wildcards and
 * phrases do), so a strong reference to either would keep both for ever.
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

    /** @return how many searches there are entries for */
    int size() {
        return queries.size();
    }
}
