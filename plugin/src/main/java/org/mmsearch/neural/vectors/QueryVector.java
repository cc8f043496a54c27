package org.mmsearch.neural.vectors;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

import org.mmsearch.encoder.EncoderInput;

/**
 * The weighted parts of a query vector: {@code v = unit(sum of weight * unit(part))}. A single part is used unchanged.
 *
 * @param parts at least one; parts with positive weights come first
 */
public record QueryVector(List<Part> parts) {

    /**
     * One part, either encoded or stored.
     *
     * @param weight the weight; negative for {@code negative_text}
     * @param input the input to encode; null if {@code like} is set
     * @param like the document with the stored vector; null if {@code input} is set
     */
    public record Part(double weight, EncoderInput input, LikeDocument like) {}

    /** Returns a copy with the parts at the accepted positions; it may have no parts. */
    QueryVector where(IntPredicate stays) {
        return new QueryVector(IntStream.range(0, parts.size()).filter(stays).mapToObj(parts::get).toList());
    }

    /**
     * Computes the query vector.
     *
     * @param vectors one per part, float32 [dimension] each
     * @return float32 [dimension], of length 1 if there are several parts
     * @throws IllegalArgumentException if the parts cancel each other out
     */
    public float[] blend(List<float[]> vectors) {
        if (parts.size() == 1) {
            return vectors.get(0);
        }
        double[] sum = new double[vectors.get(0).length];
        for (int i = 0; i < parts.size(); i++) {
            float[] vector = vectors.get(i);
            double scale = parts.get(i).weight() / Math.max(norm(vector), Double.MIN_NORMAL);
            for (int d = 0; d < sum.length; d++) {
                sum[d] += scale * vector[d];
            }
        }
        double length = 0;
        for (double x : sum) {
            length += x * x;
        }
        length = Math.sqrt(length);
        if (length < 1e-6) {
            throw new IllegalArgumentException(
                "the parts of the query cancel each other out; lower the weight of negative_text"
            );
        }
        float[] unit = new float[sum.length];
        for (int d = 0; d < unit.length; d++) {
            unit[d] = (float) (sum[d] / length);
        }
        return unit;
    }

    private static double norm(float[] vector) {
        double sum = 0;
        for (float x : vector) {
            sum += (double) x * x;
        }
        return Math.sqrt(sum);
    }
}
