package org.mmsearch.neural.fields;

import java.util.Map;

/**
 * The weight of the similarity between a query's text and a product's image, in vectors that concatenate a text part and an image part
 * of equal weight. With both parts present, the inner product of a weighted query with a product is
 * {@code (1 - weight) * text similarity + weight * image similarity}, up to a factor of the query.
 *
 * @param textDimension length of the text part, which comes first
 * @param weight from 0 to 1; {@value #EQUAL} leaves vectors as they are
 */
public record TextToImage(int textDimension, float weight) {

    static final String KEY = "text_to_image";
    static final float EQUAL = 0.5f;

    /**
     * Returns the weight of an index.
     *
     * @param meta {@code _meta.mmsearch} of the mapping
     * @return null if the mapping does not describe vectors of two parts
     */
    static TextToImage of(Map<?, ?> meta) {
        if (meta.get(KEY) instanceof Map<?, ?> said && said.get("text_dimension") instanceof Number length && length.intValue() > 0) {
            float weight = said.get("weight") instanceof Number number ? number.floatValue() : EQUAL;
            return new TextToImage(length.intValue(), weight >= 0 && weight <= 1 ? weight : EQUAL);
        }
        return null;
    }

    /** Returns this with another weight. */
    TextToImage with(float other) {
        return new TextToImage(textDimension, other);
    }

    /**
     * Weighs the parts of the vector of a query's text.
     *
     * @param vector float32 [dimension], of length 1; not modified
     * @return float32 [dimension], of length 1; the vector itself if nothing changes or nothing would be left of it
     */
    public float[] weighed(float[] vector) {
        if (weight == EQUAL || textDimension >= vector.length) {
            return vector;
        }
        double square = 0;
        for (int i = 0; i < vector.length; i++) {
            double x = (double) vector[i] * weightAt(i);
            square += x * x;
        }
        if (square < 1e-12) {
            return vector;
        }
        float[] unit = new float[vector.length];
        for (int i = 0; i < vector.length; i++) {
            unit[i] = (float) (vector[i] * weightAt(i) / Math.sqrt(square));
        }
        return unit;
    }

    private double weightAt(int position) {
        return position < textDimension ? 1 - weight : weight;
    }
}
