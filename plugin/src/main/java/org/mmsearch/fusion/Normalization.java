package org.mmsearch.fusion;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Normalizes the raw scores of a leg so that they are comparable between legs. */
public enum Normalization {
    /** (s − min) / (max − min), with the leg's own minimum and maximum or its bounds; 1 if all scores are equal. */
    MIN_MAX {
        @Override
        double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
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
        double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
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
    /**
     * z = (s − mean) / sample standard deviation, and {@link #FLOOR} · exp(z − {@link #FLOOR}) for z below the floor, which is positive
     * and keeps the order; 1 if all scores are equal.
     */
    Z_SCORE {
        @Override
        double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
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
                double z = (scores[i] - mean) / deviation;
                normalized[i] = equal ? 1 : z < FLOOR ? FLOOR * Math.exp(z - FLOOR) : z;
            }
            return normalized;
        }
    },
    /** 1 / (rank constant + rank), rank from 1 (Cormack, Clarke and Büttcher, SIGIR 2009). */
    RECIPROCAL_RANK {
        @Override
        double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                normalized[i] = 1.0 / (rankConstant + i + 1);
            }
            return normalized;
        }
    },
    /**
     * (s − low) / (high − low), where high is the greatest score that the query could reach on the hit's shard and low the score of a
     * document that has nothing to do with it (S. Bruch, S. Gai and A. Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
     * TOIS 2023, which takes the theoretical minimum; here the maximum is theoretical too). A bound that the user specifies takes the
     * place of either. {@link #MIN_MAX} if high is unknown.
     */
    THEORETICAL_MIN_MAX {
        @Override
        double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
            double[] normalized = new double[scores.length];
            for (int i = 0; i < scores.length; i++) {
                ScoreRange range = (ranges == null ? ScoreRange.NONE : ranges[i]).within(lower, upper);
                if (range.known() == false) {
                    return MIN_MAX.scaled(scores, null, null, null, rankConstant);
                }
                normalized[i] = Math.max(range.share(scores[i]), FLOOR);
            }
            return normalized;
        }
    };

    /** The score used instead of 0, because 0 means that the leg did not find the hit. */
    public static final double FLOOR = 0.001;

    // Ratio of the normalized scores of two hits whose raw scores differ, if they would be equal or reversed: a float has both.
    private static final double BELOW = 1 - 1e-6;

    /**
     * Returns the normalized scores of a leg. They have the order of the raw scores.
     *
     * @param scores the raw scores, best first
     * @param ranges the range of each, or null if unknown
     * @param lower the lower bound, or null
     * @param upper the upper bound, or null
     * @param rankConstant rank constant of {@code rrf}
     * @return as many scores, in the same order
     */
    double[] normalize(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant) {
        double[] normalized = scaled(scores, ranges, lower, upper, rankConstant);
        // The floor and the bounds can lift a hit over a better one.
        for (int i = 1; i < normalized.length; i++) {
            double better = normalized[i - 1];
            if (normalized[i] >= better) {
                normalized[i] = scores[i] < scores[i - 1] ? better * BELOW : better;
            }
        }
        return normalized;
    }

    /** Returns whether the ranges of scores are needed. */
    public boolean needsRanges() {
        return this == THEORETICAL_MIN_MAX;
    }

    abstract double[] scaled(float[] scores, ScoreRange[] ranges, Bound lower, Bound upper, int rankConstant);

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
        List<Normalization> named = List.of(MIN_MAX, L2, Z_SCORE, THEORETICAL_MIN_MAX);
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
