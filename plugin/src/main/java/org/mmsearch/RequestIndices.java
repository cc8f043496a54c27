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

/** Which of this cluster's indices a request goes to, aliases, patterns and points in time resolved. */
public final class RequestIndices {

    private final Supplier<ClusterState> state;
    private final IndexNameExpressionResolver resolver;

    /** @param state the newest cluster state that this node has */
    public RequestIndices(Supplier<ClusterState> state, IndexNameExpressionResolver resolver) {
        this.state = state;
        this.resolver = resolver;
    }

    /**
     * As the request itself wants its names resolved.
     *
     * @param registry reads the point in time of a search that has one
     * @throws org.opensearch.index.IndexNotFoundException where the request does not allow a name that means nothing
     */
    public Index[] of(IndicesRequest request, NamedWriteableRegistry registry) {
        Index[] pointInTime = pointInTime(request, registry);
        return pointInTime == null ? resolver.concreteIndices(state.get(), request) : pointInTime;
    }

    /** Those that are here; names that mean nothing are the request's own error to report, those of other clusters are passed over. */
    public Index[] known(String... names) {
        String[] local = Arrays.stream(names).filter(name -> name != null && remote(name) == false).toArray(String[]::new);
        if (local.length == 0 && names.length > 0) {
            return Index.EMPTY_ARRAY;
        }
        return resolver.concreteIndices(state.get(), IndicesOptions.lenientExpandHidden(), true, local);
    }

    /** Those of the request's point in time; null where it has none. */
    public static Index[] pointInTime(IndicesRequest request, NamedWriteableRegistry registry) {
        if (request instanceof SearchRequest search && search.pointInTimeBuilder() != null) {
            SearchContextId pit = SearchContextId.decode(registry, search.pointInTimeBuilder().getId());
            return pit.shards().keySet().stream().map(ShardId::getIndex).distinct().toArray(Index[]::new);
        }
        return null;
    }

    /** Whether a name is one of another cluster; a colon inside {@code <...>} belongs to date math. */
    public static boolean remote(String name) {
        return name.indexOf(RemoteClusterAware.REMOTE_CLUSTER_INDEX_SEPARATOR) >= 0
            && name.startsWith("<") == false
            && name.startsWith("-<") == false;
    }
}
