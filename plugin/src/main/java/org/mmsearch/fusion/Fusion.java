package org.mmsearch.fusion;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * How rankings become one: normalize each, combine, cut to the window.
 * A pure function of its arguments, the same inside a shard and on the coordinating node.
 *
 * @param normalization of each leg's scores
 * @param lower min_max's lower bounds, one a leg, or empty
 * @param upper min_max's upper bounds, one a leg, or empty
 * @param combination of the normalized scores
 * @param rankConstant of reciprocal ranks
 * @param weights one a leg, or empty for equal ones
 * @param window how deep each leg is read and how many hits come out, or 0 when left to the clause
 */
public record Fusion(
    Normalization normalization,
    List<Bound> lower,
    List<Bound> upper,
    Combination combination,
    int rankConstant,
    List<Float> weights,
    int window
) implements Writeable {

    /** min_max, arithmetic mean, equal weights. */
    public static final Fusion DEFAULT = new Fusion(
        Normalization.MIN_MAX,
        List.of(),
        List.of(),
        Combination.ARITHMETIC_MEAN,
        FusionParser.DEFAULT_RANK_CONSTANT,
        List.of(),
        0
    );

    /** Reads it from the wire. */
    public Fusion(StreamInput in) throws IOException {
        this(
            in.readEnum(Normalization.class),
            in.readList(Bound::new),
            in.readList(Bound::new),
            in.readEnum(Combination.class),
            in.readVInt(),
            in.readList(StreamInput::readFloat),
            in.readVInt()
        );
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeEnum(normalization);
        out.writeList(lower);
        out.writeList(upper);
        out.writeEnum(combination);
        out.writeVInt(rankConstant);
        out.writeCollection(weights, StreamOutput::writeFloat);
        out.writeVInt(window);
    }

    /**
     * Refuses a fusion that does not fit the legs.
     *
     * @param legs how many there are
     * @return this
     */
    public Fusion validate(int legs) {
        if (weights.isEmpty() == false && weights.size() != legs) {
            throw new IllegalArgumentException(
                "[fusion] expected as many weights as queries, " + legs + ", got " + weights.size() + ": give one a query"
            );
        }
        for (List<Bound> bounds : List.of(lower, upper)) {
            if (bounds.isEmpty() == false && bounds.size() != legs) {
                throw new IllegalArgumentException(
                    "[fusion] expected as many bounds as queries, " + legs + ", got " + bounds.size() + ": give one a query"
                );
            }
        }
        return this;
    }

    /**
     * Leaves legs out, the weights of the others keeping their ratios.
     *
     * @param kept positions of the legs that stay, ascending
     * @return the fusion of those legs
     */
    public Fusion only(List<Integer> kept) {
        List<Float> rest = weights.isEmpty() ? weights : kept.stream().map(weights::get).toList();
        double sum = rest.stream().mapToDouble(Float::doubleValue).sum();
        List<Float> renormalized = sum == 0 ? List.of() : rest.stream().map(w -> (float) (w / sum)).toList();
        return new Fusion(
            normalization,
            lower.isEmpty() ? lower : kept.stream().map(lower::get).toList(),
            upper.isEmpty() ? upper : kept.stream().map(upper::get).toList(),
            combination,
            rankConstant,
            renormalized,
            window
        );
    }

    /** @return this fusion with another window */
    public Fusion window(int hits) {
        return new Fusion(normalization, lower, upper, combination, rankConstant, weights, hits);
    }

    /** @return the weight of a leg: its own, or 1 where all are equal */
    public float weight(int leg) {
        return weights.isEmpty() ? 1f : weights.get(leg);
    }

    /**
     * Fuses.
     *
     * @param legs one ranking a leg, each at most {@code window} long
     * @throws IllegalArgumentException where a leg's scores are not finite
     * @return at most {@code window} hits, by descending score and then ascending key
     */
    public List<FusedHit> fuse(List<Ranking> legs) {
        int count = legs.size();
        int most = 0;
        for (Ranking ranking : legs) {
            most += ranking.size();
        }
        KeySlots hits = new KeySlots(most);
        // A hit's rank in each leg, from 1; 0 where the leg did not find it.
        int[] ranks = new int[most * count];
        float[] weightOf = new float[count];
        double[][] normalized = new double[count][];
        for (int leg = 0; leg < count; leg++) {
            Ranking ranking = legs.get(leg);
            weightOf[leg] = weight(leg);
            requireFinite(leg, ranking.scores());
            normalized[leg] = normalization.normalize(
                ranking.scores(),
                lower.isEmpty() ? null : lower.get(leg),
                upper.isEmpty() ? null : upper.get(leg),
                rankConstant
            );
            for (int i = 0; i < ranking.size(); i++) {
                ranks[hits.slot(ranking.keys()[i]) * count + leg] = i + 1;
            }
        }
        float[] fused = new float[hits.size()];
        double[] scores = new double[count];
        for (int slot = 0; slot < fused.length; slot++) {
            for (int leg = 0; leg < count; leg++) {
                int rank = ranks[slot * count + leg];
                scores[leg] = rank == 0 ? 0 : normalized[leg][rank - 1];
            }
            fused[slot] = (float) combination.combine(scores, weightOf);
        }
        int[] order = hits.order(fused);
        List<FusedHit> best = new ArrayList<>(Math.min(window, order.length));
        for (int i = 0; i < order.length && i < window; i++) {
            LegScore[] evidence = new LegScore[count];
            for (int leg = 0; leg < count; leg++) {
                int rank = ranks[order[i] * count + leg];
                evidence[leg] = rank == 0 ? null : new LegScore(rank, legs.get(leg).scores()[rank - 1], (float) normalized[leg][rank - 1]);
            }
            best.add(new FusedHit(hits.key(order[i]), fused[order[i]], evidence));
        }
        return best;
    }

    private static void requireFinite(int leg, float[] scores) {
        for (float score : scores) {
            if (Float.isFinite(score) == false) {
                throw new IllegalArgumentException(
                    "[fusion] expected finite scores of leg [" + leg + "], got [" + score + "]: lower its boost"
                );
            }
        }
    }

    /** @return this as the JSON object that {@link FusionParser} reads */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        Map<String, Object> combine = new LinkedHashMap<>();
        combine.put("technique", combination.technique());
        if (combination == Combination.RRF) {
            combine.put("rank_constant", rankConstant);
        } else {
            Map<String, Object> normalize = new LinkedHashMap<>();
            normalize.put("technique", normalization.technique());
            Map<String, Object> bounds = new LinkedHashMap<>();
            if (lower.isEmpty() == false) {
                bounds.put("lower_bounds", lower.stream().map(bound -> bound.asMap("min_score")).toList());
            }
            if (upper.isEmpty() == false) {
                bounds.put("upper_bounds", upper.stream().map(bound -> bound.asMap("max_score")).toList());
            }
            if (bounds.isEmpty() == false) {
                normalize.put("parameters", bounds);
            }
            map.put("normalization", normalize);
        }
        if (weights.isEmpty() == false) {
            combine.put("parameters", Map.of("weights", weights));
        }
        map.put("combination", combine);
        if (window > 0) {
            map.put("window_size", window);
        }
        return map;
    }

    @Override
    public String toString() {
        String bounds = lower.isEmpty() && upper.isEmpty() ? "" : " within " + lower + " and " + upper;
        String how = combination == Combination.RRF ? "rrf with rank constant " + rankConstant : normalization.technique() + bounds;
        return how + ", " + combination.technique() + (weights.isEmpty() ? "" : " by " + Arrays.toString(weights.toArray()));
    }
}
