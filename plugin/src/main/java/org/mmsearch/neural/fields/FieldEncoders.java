package org.mmsearch.neural.fields;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

import org.mmsearch.RequestIndices;
import org.mmsearch.SameIndices;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.action.IndicesRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.index.Index;

/** Finds which encoder a vector field belongs to, from the mappings of all the indices that a request goes to. */
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
     * The encoder on which all the indices agree.
     *
     * @param request the search, with indices, aliases or patterns
     * @param registry reads the point in time of a search that has one
     * @param field the vector field's full name
     * @param modelId the query's {@code model_id}, or null; it takes the place of the model that the index names
     * @return the encoder, or null when the request goes to no index at all
     * @throws IllegalArgumentException when the field is no vector, its encoder is not known, or two indices disagree
     */
    public EncoderModel encoder(IndicesRequest request, NamedWriteableRegistry registry, String field, String modelId) {
        EncoderModel agreed = null;
        String agreedIndex = null;
        String without = null;
        for (Index index : indices(request, registry)) {
            VectorField found = fields(state.get().metadata().getIndexSafe(index)).get(field);
            if (found == null) {
                without = index.getName();
                continue;
            }
            EncoderModel encoder = found.encoder(index.getName(), modelId);
            if (agreed != null && agreed.equals(encoder) == false) {
                throw new IllegalArgumentException(
                    "field [" + field + "] must be encoded alike in all the indices of a request, got " + describe(agreed) + " in ["
                        + agreedIndex + "] and " + describe(encoder) + " in [" + index.getName() + "]; search them one by one"
                );
            }
            agreed = encoder;
            agreedIndex = index.getName();
        }
        if (agreed == null && without != null) {
            throw new IllegalArgumentException("field [" + field + "] must be a knn_vector, and [" + without + "] has no such field");
        }
        return agreed;
    }

    /** Keeps a search on the indices that it goes to now, whatever becomes of the aliases that it names. */
    public void keep(IndicesRequest request, NamedWriteableRegistry registry) {
        SameIndices.keep(request, indices(request, registry), state.get(), resolver);
    }

    /** Whether the field lies in nested documents in any of the request's indices. */
    public boolean nested(IndicesRequest request, NamedWriteableRegistry registry, String field) {
        for (Index index : indices(request, registry)) {
            VectorField found = fields(state.get().metadata().getIndexSafe(index)).get(field);
            if (found != null && found.nested()) {
                return true;
            }
        }
        return false;
    }

    /** How the field's vectors are kept in the request's indices; what any of them needs to be heeded. */
    public VectorStorage storage(IndicesRequest request, NamedWriteableRegistry registry, String field) {
        VectorStorage all = VectorStorage.LUCENE;
        for (Index index : indices(request, registry)) {
            VectorField found = fields(state.get().metadata().getIndexSafe(index)).get(field);
            if (found != null) {
                all = all.and(found.storage());
            }
        }
        return all;
    }

    /** The indices that a request goes to, aliases resolved. */
    public Index[] indices(IndicesRequest request, NamedWriteableRegistry registry) {
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

    private static String describe(EncoderModel encoder) {
        return encoder.label() + "/" + encoder.output() + " (" + encoder.dimension() + " numbers, fingerprint "
            + encoder.fingerprint() + ")";
    }
}
