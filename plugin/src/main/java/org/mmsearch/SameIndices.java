package org.mmsearch;

import java.util.Arrays;
import java.util.Set;

import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.core.index.Index;

/**
 * Pins a search to the indices that its query is rewritten for. OpenSearch resolves aliases again after the rewrite. If an alias
 * moved while the query was being encoded, the search would send the vector of one model to the index of another.
 */
public final class SameIndices {

    private SameIndices() {}

    /**
     * Replaces the aliases in a search request by their concrete indices. Does nothing if the search has a point in time, which is already
     * pinned, or if an alias has a filter or a routing, which the index name would lose.
     *
     * @param indices what the request resolves to; if empty, the request does not change, because no names would mean all indices
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
