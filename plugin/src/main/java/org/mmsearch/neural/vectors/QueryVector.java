package org.mmsearch.neural.vectors;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

import org.mmsearch.encoder.EncoderInput;

/**
 * Which vectors make up the query's, and how much each counts: {@code v = unit(sum of weight * unit(part))}.
 * A single part is taken as it is.
 *
 * @param parts at least one, of positive weights before negative ones
 */
public record QueryVector(List<Part> parts) {

    /**
     * One vector, encoded or stored.
     *
     * @param weight negative for what the hits should be away from
     * @param input what is encoded; null when {@code like} is given
     * @param like the document whose vector is taken; null when {@code input} is given
     */
    public record Part(double weight, EncoderInput input, LikeDocument like) {}

    /** @return this with the parts at these positions, which may be none */
    QueryVector where(IntPredicate stays) {
        return new QueryVector(IntStream.range(0, parts.size()).filter(stays).mapToObj(parts::get).toList());
    }

    /**
     * @param vectors one per part, float32 [dimension] each
     * @return float32 [dimension]; of length 1 unless there is a single part
     * @throws IllegalArgumentException when the parts cancel each other out
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
                "the query's parts cancel each other out and nothing is left to look for; lower the weight of negative_text"
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
