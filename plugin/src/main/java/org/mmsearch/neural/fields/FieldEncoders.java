package org.mmsearch.neural.fields;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

import org.mmsearch.RequestIndices;
import org.mmsearch.SameIndices;
import org.opensearch.action.IndicesRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.metadata.Metadata;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.index.Index;

/** Reads the vector fields, and their encoders, from the mappings of the indices that a request searches. */
public final class FieldEncoders {

    private static final int MAX_CACHED_MAPPINGS = 1000;

    private final Supplier<ClusterState> state;
    private final IndexNameExpressionResolver resolver;
    private final RequestIndices resolved;
    // Mappings are stored compressed, so parse each version of a mapping only once.
    private final Map<String, CachedMapping> cache = new ConcurrentHashMap<>();

    private record CachedMapping(long mappingVersion, VectorFields fields) {}

    /**
     * Creates the reader.
     *
     * @param state supplies the current cluster state of this node
     * @param resolver resolves aliases and patterns
     */
    public FieldEncoders(Supplier<ClusterState> state, IndexNameExpressionResolver resolver) {
        this.state = state;
        this.resolver = resolver;
        this.resolved = new RequestIndices(state, resolver);
    }

    /**
     * Returns the vector fields of the indices that a request searches.
     *
     * @param request the request, with indices, aliases, patterns or a point in time
     * @param registry decodes the id of the request's point in time
     * @throws IllegalArgumentException if the request searches a remote cluster
     * @throws org.opensearch.index.IndexNotFoundException if a name matches no index and the request does not allow that
     */
    public RequestFields of(IndicesRequest request, NamedWriteableRegistry registry) {
        Metadata metadata = state.get().metadata();
        Index[] indices = indices(request, registry);
        VectorFields[] fields = new VectorFields[indices.length];
        for (int i = 0; i < indices.length; i++) {
            fields[i] = fields(metadata.getIndexSafe(indices[i]));
        }
        return new RequestFields(indices, fields);
    }

    /** Pins a search to the indices that it resolves to now, even if its aliases change later. */
    public void keep(IndicesRequest request, RequestFields fields) {
        SameIndices.keep(request, fields.indices(), state.get(), resolver);
    }

    private Index[] indices(IndicesRequest request, NamedWriteableRegistry registry) {
        Index[] pointInTime = RequestIndices.pointInTime(request, registry);
        if (pointInTime != null) {
            return pointInTime;
        }
        for (String name : request.indices() == null ? new String[0] : request.indices()) {
            if (RequestIndices.remote(name)) {
                throw new IllegalArgumentException(
                    "expected indices of this cluster, got [" + name + "], whose mapping is not available for encoding;"
                        + " send the search to that cluster"
                );
            }
        }
        return resolved.of(request, registry);
    }

    private VectorFields fields(IndexMetadata index) {
        CachedMapping cached = cache.get(index.getIndexUUID());
        if (cached == null || cached.mappingVersion != index.getMappingVersion()) {
            if (cache.size() > MAX_CACHED_MAPPINGS) {
                cache.clear();
            }
            cached = new CachedMapping(index.getMappingVersion(), VectorFields.of(index.mapping()));
            cache.put(index.getIndexUUID(), cached);
        }
        return cached.fields;
    }

}
