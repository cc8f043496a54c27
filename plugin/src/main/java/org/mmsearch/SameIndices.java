package org.mmsearch;

import java.util.Arrays;
import java.util.Set;

import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.core.index.Index;

/**
 * Keeps a search on the indices that its query is rewritten for. The engine resolves aliases again when the rewrite is over,
 * and an alias that moves while a query is encoded would lead the vector of one model to the index of another.
 */
public final class SameIndices {

    private SameIndices() {}

    /**
     * Names the concrete indices in the request in place of the aliases that lead to them. Left as they are: a search of a
     * point in time, which holds its indices already, and aliases with a filter or a routing, which the index's own name
     * does not have.
     *
     * @param indices what the request resolves to; none leaves it as it is, since a request that names no index goes to all
     */
    public static void keep(IndicesRequest request, Index[] indices, ClusterState state, IndexNameExpressionResolver resolver) {
        if (request instanceof SearchRequest search && search.pointInTimeBuilder() == null && indices.length > 0) {
            String[] names = new String[indices.length];
            for (int i = 0; i < names.length; i++) {
                names[i] = indices[i].getName();
            }
            if (Arrays.equals(names, search.indices()) == false && plain(search, names, state, resolver)) {
                search.indices(names);
            }
        }
    }

    private static boolean plain(SearchRequest search, String[] names, ClusterState state, IndexNameExpressionResolver resolver) {
        Set<String> expressions = resolver.resolveExpressions(state, search.indices());
        return resolver.resolveSearchRouting(state, null, search.indices()) == null
            && Arrays.stream(names).allMatch(name -> resolver.filteringAliases(state, name, expressions) == null);
    }
}
