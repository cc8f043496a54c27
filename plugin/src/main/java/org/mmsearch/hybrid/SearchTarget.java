package org.mmsearch.hybrid;

import java.util.Map;
import java.util.Set;

import org.mmsearch.RequestIndices;
import org.opensearch.action.search.SearchContextId;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.routing.GroupShardsIterator;
import org.opensearch.cluster.routing.OperationRouting;
import org.opensearch.cluster.routing.ShardIterator;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.index.Index;
import org.opensearch.core.index.shard.ShardId;

/**
 * The indices and shards of a search request.
 *
 * @param indices the concrete indices
 * @param only the shard if there is exactly one, else null
 */
record SearchTarget(Index[] indices, ShardId only) {

    static SearchTarget of(
        SearchRequest request,
        ClusterState state,
        OperationRouting routing,
        IndexNameExpressionResolver resolver,
        NamedWriteableRegistry registry
    ) {
        if (request.pointInTimeBuilder() != null) {
            SearchContextId pit = SearchContextId.decode(registry, request.pointInTimeBuilder().getId());
            Set<ShardId> shards = pit.shards().keySet();
            Index[] indices = RequestIndices.pointInTime(request, registry);
            return new SearchTarget(indices, shards.size() == 1 ? shards.iterator().next() : null);
        }
        Index[] indices = resolver.concreteIndices(state, request);
        return new SearchTarget(indices, only(request, state, routing, resolver, indices));
    }

    /** Returns the number of shards of the indices, including shards that the request does not search. */
    int shards(ClusterState state) {
        int shards = 0;
        for (Index index : indices) {
            IndexMetadata metadata = state.metadata().index(index);
            shards += metadata == null ? 0 : metadata.getNumberOfShards();
        }
        return shards;
    }

    private static ShardId only(
        SearchRequest request,
        ClusterState state,
        OperationRouting routing,
        IndexNameExpressionResolver resolver,
        Index[] indices
    ) {
        if (indices.length != 1) {
            return null;
        }
        String index = indices[0].getName();
        Set<String> expressions = resolver.resolveExpressions(state, request.indices());
        boolean narrowed = request.routing() != null || request.preference() != null || expressions.contains(index) == false;
        if (state.metadata().index(indices[0]).getNumberOfShards() > 1 && narrowed == false) {
            return null;
        }
        Map<String, Set<String>> routings = resolver.resolveSearchRouting(state, request.routing(), request.indices());
        GroupShardsIterator<ShardIterator> shards = routing.searchShards(state, new String[] { index }, routings, request.preference());
        return shards.size() == 1 ? shards.get(0).shardId() : null;
    }
}
