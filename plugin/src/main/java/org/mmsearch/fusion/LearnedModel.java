package org.mmsearch.fusion;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * A logistic model that {@code mmsearch tune --learn} fits on judged queries. The score of a hit is 1 / (1 + exp(−z)) with
 *
 * <pre>
 * z = intercept + Σ over legs i that found the hit (foundᵢ + scoreᵢ · sᵢ + reciprocal_rankᵢ / (10 + rankᵢ) + rawᵢ · rawScoreᵢ)
 *               + Σ over pairs of legs i &lt; j productᵢⱼ · sᵢ · sⱼ
 * </pre>
 *
 * where sᵢ is the normalized score, 0 if the leg did not find the hit. The same formula in Python, {@code tuning/learned_model.py}, is tested
 * with the same numbers.
 *
 * @param intercept the constant of z
 * @param legs the coefficients of each leg
 * @param products one coefficient per pair of legs, in the order (0, 1), (0, 2), …, (1, 2), …
 */
public record LearnedModel(double intercept, List<Leg> legs, List<Double> products) implements Writeable {

    /** Version of the formula, in JSON and between nodes. */
    static final int VERSION = 1;
    static final Set<String> KEYS = Set.of("version", "intercept", "legs", "products");
    private static final Set<String> LEG_KEYS = Set.of("found", "score", "reciprocal_rank", "raw");
    private static final int RANK_CONSTANT = 10;
    /** Limit of a coefficient. Its product with any 32-bit score is finite, and so is z. */
    private static final double LARGEST = 1e6;

    /**
     * Coefficients of one leg.
     *
     * @param found added if the leg found the hit
     * @param score factor of the normalized score
     * @param reciprocalRank factor of 1 / (10 + rank)
     * @param raw factor of the raw score
     */
    public record Leg(double found, double score, double reciprocalRank, double raw) implements Writeable {

        Leg(StreamInput in) throws IOException {
            this(in.readDouble(), in.readDouble(), in.readDouble(), in.readDouble());
        }

        @Override
        public void writeTo(StreamOutput out) throws IOException {
            out.writeDouble(found);
            out.writeDouble(score);
            out.writeDouble(reciprocalRank);
            out.writeDouble(raw);
        }

        double logOdds(int rank, float rawScore, double normalized) {
            return found + score * normalized + reciprocalRank / (RANK_CONSTANT + rank) + raw * rawScore;
        }

        private Map<String, Object> asMap() {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("found", found);
            map.put("score", score);
            map.put("reciprocal_rank", reciprocalRank);
            map.put("raw", raw);
            return map;
        }
    }

    /** Reads a model from a stream. */
    static LearnedModel read(StreamInput in) throws IOException {
        int version = in.readVInt();
        if (version != VERSION) {
            throw new IOException("expected a learned fusion of version " + VERSION + ", got " + version + ": upgrade all nodes");
        }
        return new LearnedModel(in.readDouble(), in.readList(Leg::new), in.readList(StreamInput::readDouble));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeVInt(VERSION);
        out.writeDouble(intercept);
        out.writeList(legs);
        out.writeCollection(products, StreamOutput::writeDouble);
    }

    /**
     * Parses the {@code parameters} of the technique {@code learned}.
     *
     * @throws IllegalArgumentException if a key is missing or unknown, the version is another one, or a coefficient is out of range
     */
    static LearnedModel parse(Map<String, Object> parameters) {
        require(parameters, KEYS, "combination.parameters");
        if (Integer.valueOf(VERSION).equals(parameters.get("version")) == false) {
            throw new IllegalArgumentException(
                "[fusion] expected a learned fusion of version " + VERSION + ", got [" + parameters.get("version")
                    + "]: learn it again by this version's mmsearch tune --learn"
            );
        }
        List<Leg> legs = new ArrayList<>();
        for (Object item : FusionParser.list(parameters.get("legs"), "legs")) {
            Map<String, Object> leg = FusionParser.map(item, "legs");
            require(leg, LEG_KEYS, "legs");
            legs.add(new Leg(coefficient(leg, "found"), coefficient(leg, "score"), coefficient(leg, "reciprocal_rank"), coefficient(leg, "raw")));
        }
        List<Double> products = new ArrayList<>();
        for (Object item : FusionParser.list(parameters.get("products"), "products")) {
            products.add(coefficient(item, "products"));
        }
        int pairs = legs.size() * (legs.size() - 1) / 2;
        if (products.size() != pairs) {
            throw new IllegalArgumentException(
                "[fusion] expected one product per pair of legs, " + pairs + " for " + legs.size() + " legs, got " + products.size()
            );
        }
        return new LearnedModel(coefficient(parameters, "intercept"), List.copyOf(legs), List.copyOf(products));
    }

    private static void require(Map<String, Object> object, Set<String> keys, String where) {
        FusionParser.allow(object, keys, where);
        for (String key : keys) {
            if (object.containsKey(key) == false) {
                throw new IllegalArgumentException("[fusion] expected [" + key + "] in [" + where + "] of a learned fusion, got none");
            }
        }
    }

    private static double coefficient(Map<String, Object> object, String key) {
        return coefficient(object.get(key), key);
    }

    private static double coefficient(Object value, String key) {
        if (value instanceof Number number && Math.abs(number.doubleValue()) <= LARGEST) {
            return number.doubleValue();
        }
        throw new IllegalArgumentException(
            "[fusion] expected a number from " + (long) -LARGEST + " to " + (long) LARGEST + " in [" + key + "], got [" + value + "]"
        );
    }

    /** Returns the model without some legs, as if they had found nothing. */
    LearnedModel only(List<Integer> kept) {
        List<Double> pairs = new ArrayList<>();
        for (int i = 0, pair = 0; i < legs.size(); i++) {
            for (int j = i + 1; j < legs.size(); j++, pair++) {
                if (kept.contains(i) && kept.contains(j)) {
                    pairs.add(products.get(pair));
                }
            }
        }
        return new LearnedModel(intercept, kept.stream().map(legs::get).toList(), pairs);
    }

    /**
     * Returns the probability that a hit is relevant.
     *
     * @param ranks rank of the hit in each leg, from 1; 0 if the leg did not find it
     * @param at position of the first leg's rank
     * @param rankings the legs' rankings
     * @param scores normalized score of the hit in each leg; 0 if the leg did not find it
     */
    double probability(int[] ranks, int at, List<Ranking> rankings, double[] scores) {
        double z = intercept + pairs(scores);
        for (int leg = 0; leg < scores.length; leg++) {
            int rank = ranks[at + leg];
            if (rank > 0) {
                z += legs.get(leg).logOdds(rank, rankings.get(leg).scores()[rank - 1], scores[leg]);
            }
        }
        return 1 / (1 + Math.exp(-z));
    }

    /** Returns what the products of normalized scores add to z. */
    double pairs(double[] scores) {
        double sum = 0;
        for (int i = 0, pair = 0; i < scores.length; i++) {
            for (int j = i + 1; j < scores.length; j++, pair++) {
                sum += products.get(pair) * scores[i] * scores[j];
            }
        }
        return sum;
    }

    /** Returns what a leg adds to z. */
    public double logOdds(int leg, LegScore score) {
        return legs.get(leg).logOdds(score.rank(), score.raw(), score.normalized());
    }

    /** Returns the rest of z: the intercept and what the products add. */
    public double rest(LegScore[] hit) {
        double[] scores = new double[hit.length];
        for (int leg = 0; leg < hit.length; leg++) {
            scores[leg] = hit[leg] == null ? 0 : hit[leg].normalized();
        }
        return intercept + pairs(scores);
    }

    /** Returns the JSON object that {@link #parse} reads. */
    Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("version", VERSION);
        map.put("intercept", intercept);
        map.put("legs", legs.stream().map(Leg::asMap).toList());
        map.put("products", products);
        return map;
    }
}
