package org.mmsearch;

import java.util.Arrays;
import java.util.function.Supplier;

import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchContextId;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.IndicesOptions;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.index.Index;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.transport.RemoteClusterAware;

/** Resolves the names in a request (indices, aliases, patterns, points in time) to concrete indices of this cluster. */
public final class RequestIndices {

    private final Supplier<ClusterState> state;
    private final IndexNameExpressionResolver resolver;

    /** @param state supplies the current cluster state of this node */
    public RequestIndices(Supplier<ClusterState> state, IndexNameExpressionResolver resolver) {
        this.state = state;
        this.resolver = resolver;
    }

    /**
     * Returns the concrete indices of a request, resolved with the request's own indices options.
     *
     * @param registry decodes the id of the request's point in time
     * @throws org.opensearch.index.IndexNotFoundException if a name matches no index and the request does not allow that
     */
    public Index[] of(IndicesRequest request, NamedWriteableRegistry registry) {
        Index[] pointInTime = pointInTime(request, registry);
        return pointInTime == null ? resolver.concreteIndices(state.get(), request) : pointInTime;
    }

    /** Returns the indices of this cluster that match the names. Ignores unknown names and names of remote clusters. */
    public Index[] known(String... names) {
        String[] local = Arrays.stream(names).filter(name -> name != null && remote(name) == false).toArray(String[]::new);
        if (local.length == 0 && names.length > 0) {
            return Index.EMPTY_ARRAY;
        }
        return resolver.concreteIndices(state.get(), IndicesOptions.lenientExpandHidden(), true, local);
    }

    /** Returns the indices of the request's point in time, or null if it has none. */
    public static Index[] pointInTime(IndicesRequest request, NamedWriteableRegistry registry) {
        if (request instanceof SearchRequest search && search.pointInTimeBuilder() != null) {
            SearchContextId pit = SearchContextId.decode(registry, search.pointInTimeBuilder().getId());
            return pit.shards().keySet().stream().map(ShardId::getIndex).distinct().toArray(Index[]::new);
        }
        return null;
    }

    /** Returns whether a name refers to a remote cluster. A colon inside {@code <...>} is date math, not a cluster separator. */
    public static boolean remote(String name) {
        return name.indexOf(RemoteClusterAware.REMOTE_CLUSTER_INDEX_SEPARATOR) >= 0
            && name.startsWith("<") == false
            && name.startsWith("-<") == false;
    }
}
