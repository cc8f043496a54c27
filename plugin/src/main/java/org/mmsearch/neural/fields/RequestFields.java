package org.mmsearch.neural.fields;

import org.mmsearch.encoder.EncoderModel;
import org.opensearch.core.index.Index;

/** The vector fields of the indices that a request searches. The indices are resolved once per request. */
public final class RequestFields {

    private final Index[] indices;
    /** The fields of each index, in the order of {@link #indices}. */
    private final VectorFields[] fields;

    RequestFields(Index[] indices, VectorFields[] fields) {
        this.indices = indices;
        this.fields = fields;
    }

    /** Returns the concrete indices that the request searches. */
    public Index[] indices() {
        return indices;
    }

    /**
     * Returns the encoder of a field, which must be the same in all indices that have the field.
     *
     * @param field full name of the vector field
     * @param modelId the {@code model_id} of the query, which overrides the model in the mapping, or null
     * @return the encoder, or null if the request searches no index
     * @throws IllegalArgumentException if the field is not a vector field, has no encoder, or has different encoders in two indices
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
                    "expected the same encoder of field [" + field + "] in all indices of a request, got " + describe(agreed) + " in ["
                        + agreedIndex + "] and " + describe(encoder) + " in [" + indices[i].getName() + "]; search the indices separately"
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

    /** Returns whether the field is inside a {@code nested} object in any of the indices. */
    public boolean nested(String field) {
        for (VectorFields each : fields) {
            VectorField found = each.get(field);
            if (found != null && found.nested()) {
                return true;
            }
        }
        return false;
    }

    /** Returns how k-NN stores the field: faiss if any of the indices uses faiss, and the highest compression of them. */
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

    /**
     * Returns the weight of the similarity between a query's text and a product's image.
     *
     * @param field full name of the vector field
     * @param asked the weight that the query specifies, or null for that of the indices; if they differ, their mean
     * @return null if vectors are to be taken as they are
     * @throws IllegalArgumentException if the query specifies a weight and the vectors of an index do not have two parts
     */
    public TextToImage textToImage(String field, Float asked) {
        TextToImage any = null;
        float sum = 0;
        int having = 0;
        for (int i = 0; i < indices.length; i++) {
            if (fields[i].get(field) == null) {
                continue;
            }
            TextToImage found = fields[i].textToImage(field);
            if (asked != null && found == null) {
                throw new IllegalArgumentException(
                    "expected " + TextToImage.KEY + " on a field whose vectors have a part for the text and one for the image, which the"
                        + " mapping of [" + indices[i].getName() + "] does not say of [" + field + "]; leave it out, or ingest into the index"
                        + " with a model that concatenates both"
                );
            }
            having++;
            sum += found == null ? TextToImage.EQUAL : found.weight();
            any = found == null ? any : found;
        }
        return any == null ? null : any.with(asked == null ? sum / having : asked);
    }

    private static String describe(EncoderModel encoder) {
        return encoder.label() + "/" + encoder.output() + " (" + encoder.dimension() + " numbers, fingerprint "
            + encoder.fingerprint() + ")";
    }
}
