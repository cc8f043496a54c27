package org.mmsearch.neural.fields;

import java.util.Map;

import org.mmsearch.encoder.EncoderModel;

/**
 * A field in the mapping of an index.
 *
 * @param name the full name
 * @param type the field type
 * @param dimension the {@code dimension} in the mapping, or 0 if it is absent
 * @param nested whether the field is inside a {@code nested} object
 * @param storage how k-NN stores the vectors
 * @param meta the entry of the field in {@code _meta.mmsearch.fields}; empty if it is absent
 */
record VectorField(String name, String type, int dimension, boolean nested, VectorStorage storage, Map<?, ?> meta) {

    private static final String DEFAULT_OUTPUT = "EMBEDDING";

    /**
     * Returns the encoder of this field.
     *
     * @param index name of the index, for error messages
     * @param modelId {@code NAME} or {@code NAME:VERSION}, which overrides the model in the mapping, or null
     * @throws IllegalArgumentException if this is not a vector field, or if its model or dimension is unknown
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
                "expected the encoder of field [" + name + "] in _meta.mmsearch.fields." + name + " of the mapping of [" + index
                    + "], got none; specify model_id in the query"
            );
        }
        String output = text("output");
        int length = dimension > 0 ? dimension : meta.get("dimension") instanceof Number number ? number.intValue() : 0;
        if (length <= 0) {
            throw new IllegalArgumentException(
                "expected the dimension of field [" + name + "] in the mapping of [" + index + "], got none; add it to the field"
            );
        }
        return new EncoderModel(model, version, output == null ? DEFAULT_OUTPUT : output, text("fingerprint"), length);
    }

    /** Returns whether the vectors are fused from a text and an image, by the mapping. */
    boolean fused() {
        String output = text("output");
        return meta.isEmpty() == false && (output == null || output.equals(DEFAULT_OUTPUT));
    }

    private String text(String key) {
        Object value = meta.get(key);
        return value == null ? null : value.toString();
    }
}
