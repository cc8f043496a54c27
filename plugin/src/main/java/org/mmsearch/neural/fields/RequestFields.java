package org.mmsearch.neural.fields;

import org.mmsearch.encoder.EncoderModel;
import org.opensearch.core.index.Index;

/** The vector fields of all the indices that one request goes to, which are resolved once for it. */
public final class RequestFields {

    private final Index[] indices;
    /** Those of each index. */
    private final VectorFields[] fields;

    RequestFields(Index[] indices, VectorFields[] fields) {
        this.indices = indices;
        this.fields = fields;
    }

    /** The indices that the request goes to, aliases resolved. */
    public Index[] indices() {
        return indices;
    }

    /**
     * The encoder on which all the indices agree.
     *
     * @param field the vector field's full name
     * @param modelId the query's {@code model_id}, or null; it takes the place of the model that the index names
     * @return the encoder, or null when the request goes to no index at all
     * @throws IllegalArgumentException when the field is no vector, its encoder is not known, or two indices disagree
     */
    public EncoderModel encoder(String field, String modelId) {
        EncoderModel agreed = null;
        String agreedIndex = null;
        String without = null;
        for (int i = 0; i < indices.length; i++) {
            VectorField found = fields[i].get(field);
            if (found == null) {
                without = indices[i].getName();
                continue;
            }
            EncoderModel encoder = found.encoder(indices[i].getName(), modelId);
            if (agreed != null && agreed.equals(encoder) == false) {
                throw new IllegalArgumentException(
                    "field [" + field + "] must be encoded alike in all the indices of a request, got " + describe(agreed) + " in ["
                        + agreedIndex + "] and " + describe(encoder) + " in [" + indices[i].getName() + "]; search them one by one"
                );
            }
            agreed = encoder;
            agreedIndex = indices[i].getName();
        }
        if (agreed == null && without != null) {
            throw new IllegalArgumentException("field [" + field + "] must be a knn_vector, and [" + without + "] has no such field");
        }
        return agreed;
    }

    /** Whether the field lies in nested documents in any of the request's indices. */
    public boolean nested(String field) {
        for (VectorFields each : fields) {
            VectorField found = each.get(field);
            if (found != null && found.nested()) {
                return true;
            }
        }
        return false;
    }

    /** How the field's vectors are kept in the request's indices; what any of them needs to be heeded. */
    public VectorStorage storage(String field) {
        VectorStorage all = VectorStorage.LUCENE;
        for (VectorFields each : fields) {
            VectorField found = each.get(field);
            if (found != null) {
                all = all.and(found.storage());
            }
        }
        return all;
    }

    private static String describe(EncoderModel encoder) {
        return encoder.label() + "/" + encoder.output() + " (" + encoder.dimension() + " numbers, fingerprint "
            + encoder.fingerprint() + ")";
    }
}
