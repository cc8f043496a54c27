package org.mmsearch.fusion;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Normalizes the raw scores of a leg so that they are comparable between legs. */
public enum Normalization {
    /** (s − min) / (max − min), with the leg's own minimum and maximum or its bounds; 1 if all scores are equal. */
    MIN_MAX {
        @Override
        double[] normalize(float[] scores, Bound lower, Bound upper, int rankConstant) {
            float max = Float.NEGATIVE_INFINITY;
            float min = Float.POSITIVE_INFINITY;
            for (float score : scores) {
                max = Math.max(max, score);
                min = Math.min(min, score);
            }
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                normalized[i] = minMax(scores[i], min, max, lower, upper);
            }
            return normalized;
        }
    },
    /** s / √Σs². */
    L2 {
        @Override
        double[] normalize(float[] scores, Bound lower, Bound upper, int rankConstant) {
            double squares = 0;
            for (float score : scores) {
                squares += (double) score * score;
            }
            double norm = Math.sqrt(squares);
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                normalized[i] = norm == 0 ? FLOOR : scores[i] / norm;
            }
            return normalized;
        }
    },
    /** (s − mean) / sample standard deviation, but at least {@link #FLOOR}; 1 if all scores are equal. */
    Z_SCORE {
        @Override
        double[] normalize(float[] scores, Bound lower, Bound upper, int rankConstant) {
            double sum = 0;
            for (float score : scores) {
                sum += score;
            }
            double mean = sum / scores.length;
            double squares = 0;
            boolean equal = true;
            for (float score : scores) {
                squares += (score - mean) * (score - mean);
                equal &= score == scores[0];
            }
            double deviation = Math.sqrt(squares / (scores.length - 1));
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                normalized[i] = equal ? 1 : Math.max(FLOOR, (scores[i] - mean) / deviation);
            }
            return normalized;
        }
    },
    /** 1 / (rank constant + rank), rank from 1 (Cormack, Clarke and Büttcher, SIGIR 2009). */
    RECIPROCAL_RANK {
        @Override
        double[] normalize(float[] scores, Bound lower, Bound upper, int rankConstant) {
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                normalized[i] = 1.0 / (rankConstant + i + 1);
            }
            return normalized;
        }
    };

    /** The score used instead of 0, because 0 means that the leg did not find the hit. */
    public static final double FLOOR = 0.001;

    /**
     * Returns the normalized scores of a leg.
     *
     * @param scores the raw scores, best first
     * @param lower the lower bound, or null
     * @param upper the upper bound, or null
     * @param rankConstant rank constant of {@code rrf}
     * @return as many scores, in the same order
     */
    abstract double[] normalize(float[] scores, Bound lower, Bound upper, int rankConstant);

    private static double minMax(float score, float min, float max, Bound lower, Bound upper) {
        if (min == max) {
            return 1;
        }
        float low = lower == null ? min : lower.lower(score, min, max);
        float high = upper == null ? max : upper.upper(score, min, max);
        if (lower != null && lower.clips() && score < low) {
            return FLOOR;
        }
        if (upper != null && upper.clips() && score > high) {
            return 1;
        }
        if (low == high) {
            return 1;
        }
        double normalized = ((double) score - low) / ((double) high - low);
        return normalized == 0 ? FLOOR : normalized;
    }

    /** Returns the name in JSON. */
    public String technique() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Normalization of(String technique) {
        List<Normalization> named = List.of(MIN_MAX, L2, Z_SCORE);
        for (Normalization normalization : named) {
            if (normalization.technique().equals(technique)) {
                return normalization;
            }
        }
        throw new IllegalArgumentException(
            "[fusion] expected a normalization technique of "
                + Arrays.toString(named.stream().map(Normalization::technique).toArray())
                + ", got ["
                + technique
                + "]"
        );
    }
}
