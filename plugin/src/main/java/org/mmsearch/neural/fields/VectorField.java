package org.mmsearch.neural.fields;

import java.util.Map;

import org.mmsearch.encoder.EncoderModel;

/**
 * One field of one index.
 *
 * @param name the full name
 * @param type the mapping's type
 * @param dimension the mapping's dimension; 0 when it has none
 * @param nested whether it lies in nested documents
 * @param storage how k-NN keeps its vectors
 * @param meta the field's entry of {@code _meta.mmsearch.fields}; empty when it has none
 */
record VectorField(String name, String type, int dimension, boolean nested, VectorStorage storage, Map<?, ?> meta) {

    private static final String DEFAULT_OUTPUT = "EMBEDDING";

    /**
     * @param index for the message
     * @param modelId {@code NAME} or {@code NAME:VERSION} in place of the model that the index names, or null
     * @throws IllegalArgumentException when this is no vector or nobody says which model encodes it
     */
    EncoderModel encoder(String index, String modelId) {
        if ("knn_vector".equals(type) == false) {
            throw new IllegalArgumentException("field [" + name + "] must be a knn_vector, got " + type + " in [" + index + "]");
        }
        String model = text("model");
        String version = text("model_version");
        if (modelId != null) {
            int colon = modelId.indexOf(':');
            String asked = colon < 0 ? modelId : modelId.substring(0, colon);
            version = colon >= 0 ? modelId.substring(colon + 1) : asked.equals(model) ? version : null;
            model = asked;
        }
        if (model == null) {
            throw new IllegalArgumentException(
                "the encoder of field [" + name + "] is not known: expected _meta.mmsearch.fields." + name + " in the mapping of ["
                    + index + "] or model_id in the query"
            );
        }
        String output = text("output");
        int length = dimension > 0 ? dimension : meta.get("dimension") instanceof Number number ? number.intValue() : 0;
        if (length <= 0) {
            throw new IllegalArgumentException(
                "the dimension of field [" + name + "] is not known: expected it in the mapping of [" + index + "]"
            );
        }
        return new EncoderModel(model, version, output == null ? DEFAULT_OUTPUT : output, text("fingerprint"), length);
    }

    private String text(String key) {
        Object value = meta.get(key);
        return value == null ? null : value.toString();
    }
}
