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

/** Reads the vector fields of the indices that a request goes to out of their mappings. */
public final class FieldEncoders {

    private static final int MAX_CACHED_MAPPINGS = 1000;

    private final Supplier<ClusterState> state;
    private final IndexNameExpressionResolver resolver;
    private final RequestIndices resolved;
    // Reading a mapping means unpacking and parsing it: once per index and version of its mapping.
    private final Map<String, CachedMapping> cache = new ConcurrentHashMap<>();

    private record CachedMapping(long mappingVersion, VectorFields fields) {}

    /** @param state the newest cluster state that this node has */
    public FieldEncoders(Supplier<ClusterState> state, IndexNameExpressionResolver resolver) {
        this.state = state;
        this.resolver = resolver;
        this.resolved = new RequestIndices(state, resolver);
    }

    /**
     * The vector fields that a request can search.
     *
     * @param request the search, with indices, aliases or patterns
     * @param registry reads the point in time of a search that has one
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

    /** Keeps a search on the indices that it goes to now, whatever becomes of the aliases that it names. */
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
                    "the encoder of [" + name + "] is not known here: a query is encoded for the indices of its own cluster;"
                        + " ask the other cluster itself"
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
