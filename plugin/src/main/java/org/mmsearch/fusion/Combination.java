package org.mmsearch.fusion;

import java.util.Arrays;
import java.util.Locale;

/** Combines the normalized scores of one hit into one score. A leg that did not find the hit has the score 0. */
public enum Combination {
    /** Σ wᵢsᵢ / Σ wᵢ over all legs. Legs that did not find the hit lower its score. */
    ARITHMETIC_MEAN {
        @Override
        double combine(double[] scores, float[] weights) {
            double sum = 0;
            double weight = 0;
            for (int i = 0; i < scores.length; i++) {
                sum += weights[i] * scores[i];
                weight += weights[i];
            }
            return weight == 0 ? 0 : sum / weight;
        }
    },
    /** exp(Σ wᵢ ln sᵢ / Σ wᵢ) over the legs that found the hit. */
    GEOMETRIC_MEAN {
        @Override
        double combine(double[] scores, float[] weights) {
            double sum = 0;
            double weight = 0;
            for (int i = 0; i < scores.length; i++) {
                if (scores[i] > 0) {
                    sum += weights[i] * Math.log(scores[i]);
                    weight += weights[i];
                }
            }
            return weight == 0 ? 0 : Math.exp(sum / weight);
        }
    },
    /** Σ wᵢ / Σ (wᵢ / sᵢ) over the legs that found the hit. */
    HARMONIC_MEAN {
        @Override
        double combine(double[] scores, float[] weights) {
            double sum = 0;
            double weight = 0;
            for (int i = 0; i < scores.length; i++) {
                if (scores[i] > 0) {
                    sum += weights[i] / scores[i];
                    weight += weights[i];
                }
            }
            return sum == 0 ? 0 : weight / sum;
        }
    },
    /** Σ wᵢsᵢ, the weighted sum of reciprocal ranks. */
    RRF {
        @Override
        double combine(double[] scores, float[] weights) {
            double sum = 0;
            for (int i = 0; i < scores.length; i++) {
                sum += weights[i] * scores[i];
            }
            return sum;
        }
    },
    /** The probability of a {@link LearnedModel}, which also knows ranks and raw scores. */
    LEARNED {
        @Override
        double combine(double[] scores, float[] weights) {
            throw new IllegalStateException("a learned fusion is computed by its model");
        }
    };

    /**
     * Returns the combined score of one hit.
     *
     * @param scores one normalized score per leg
     * @param weights one weight per leg
     */
    abstract double combine(double[] scores, float[] weights);

    /** Returns the name in JSON. */
    public String technique() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Combination of(String technique) {
        for (Combination combination : values()) {
            if (combination.technique().equals(technique)) {
                return combination;
            }
        }
        throw new IllegalArgumentException(
            "[fusion] expected a combination technique of "
                + Arrays.stream(values()).map(Combination::technique).toList()
                + ", got ["
                + technique
                + "]"
        );
    }
}
