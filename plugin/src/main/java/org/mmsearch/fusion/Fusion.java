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
 * Fuses the rankings of several legs into one: normalizes the scores of each leg, combines them per hit and keeps the best hits.
 * The result depends only on these parameters and the rankings, so it is the same in a shard and on the coordinating node.
 *
 * @param normalization how the scores of each leg are normalized
 * @param lower lower bounds of {@code min_max}, one per leg, or empty
 * @param upper upper bounds of {@code min_max}, one per leg, or empty
 * @param combination how the normalized scores of a hit are combined
 * @param rankConstant rank constant of {@code rrf}
 * @param weights one per leg, or empty for equal weights
 * @param window maximum number of hits per leg and of fused hits, or 0 for the clause's default
 * @param learned the model of {@code learned}, otherwise null
 */
public record Fusion(
    Normalization normalization,
    List<Bound> lower,
    List<Bound> upper,
    Combination combination,
    int rankConstant,
    List<Float> weights,
    int window,
    LearnedModel learned
) implements Writeable {

    /** The default: {@code min_max}, {@code arithmetic_mean}, equal weights. */
    public static final Fusion DEFAULT = new Fusion(
        Normalization.MIN_MAX,
        List.of(),
        List.of(),
        Combination.ARITHMETIC_MEAN,
        FusionParser.DEFAULT_RANK_CONSTANT,
        List.of(),
        0
    );

    /** Returns a fusion without a model. */
    public Fusion(
        Normalization normalization,
        List<Bound> lower,
        List<Bound> upper,
        Combination combination,
        int rankConstant,
        List<Float> weights,
        int window
    ) {
        this(normalization, lower, upper, combination, rankConstant, weights, window, null);
    }

    /** Reads what {@link #writeTo} wrote. */
    public static Fusion read(StreamInput in) throws IOException {
        Normalization normalization = in.readEnum(Normalization.class);
        List<Bound> lower = in.readList(Bound::new);
        List<Bound> upper = in.readList(Bound::new);
        Combination combination = in.readEnum(Combination.class);
        int rankConstant = in.readVInt();
        List<Float> weights = in.readList(StreamInput::readFloat);
        int window = in.readVInt();
        LearnedModel learned = combination == Combination.LEARNED ? LearnedModel.read(in) : null;
        return new Fusion(normalization, lower, upper, combination, rankConstant, weights, window, learned);
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
        if (combination == Combination.LEARNED) {
            learned.writeTo(out);
        }
    }

    /**
     * Checks that there is one weight and one bound per leg, and that a model has as many legs, where these are specified.
     *
     * @param legs the number of legs
     * @return this fusion
     * @throws IllegalArgumentException if the numbers differ
     */
    public Fusion validate(int legs) {
        if (weights.isEmpty() == false && weights.size() != legs) {
            throw new IllegalArgumentException(
                "[fusion] expected as many weights as queries, " + legs + ", got " + weights.size() + ": specify one weight per query"
            );
        }
        if (learned != null && learned.legs().size() != legs) {
            throw new IllegalArgumentException(
                "[fusion] expected a model of as many legs as queries, " + legs + ", got one of " + learned.legs().size()
                    + ": learn it on these legs"
            );
        }
        for (List<Bound> bounds : List.of(lower, upper)) {
            if (bounds.isEmpty() == false && bounds.size() != legs) {
                throw new IllegalArgumentException(
                    "[fusion] expected as many bounds as queries, " + legs + ", got " + bounds.size() + ": specify one bound per query"
                );
            }
        }
        return this;
    }

    /**
     * Returns the fusion of some of the legs. Their weights are rescaled to the sum 1.
     *
     * @param kept positions of the legs to keep, ascending
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
            window,
            learned == null ? null : learned.only(kept)
        );
    }

    /** Returns a copy with another window. */
    public Fusion window(int hits) {
        return new Fusion(normalization, lower, upper, combination, rankConstant, weights, hits, learned);
    }

    /** Returns whether the legs' rankings need the ranges of their scores. */
    public boolean needsRanges() {
        return normalization.needsRanges();
    }

    /**
     * Returns what a leg's scores are normalized by, for {@code _legs}.
     *
     * @param leg position of the leg
     * @param range of its scores on a hit's shard
     * @return {@code bound} and, unless it is 0, {@code floor}; or {@code normalization} if the leg has no bound
     */
    public Map<String, Object> evidence(int leg, ScoreRange range) {
        ScoreRange used = range.within(lower.isEmpty() ? null : lower.get(leg), upper.isEmpty() ? null : upper.get(leg));
        if (used.known() == false) {
            return Map.of("normalization", Normalization.MIN_MAX.technique());
        }
        return used.low() == 0 ? Map.of("bound", used.high()) : Map.of("bound", used.high(), "floor", used.low());
    }

    /** Returns the weight of a leg, or 1 if no weights are specified. */
    public float weight(int leg) {
        return weights.isEmpty() ? 1f : weights.get(leg);
    }

    /**
     * Fuses the rankings of the legs.
     *
     * @param legs one ranking per leg, each with at most {@code window} hits
     * @return at most {@code window} hits, by descending score, then by ascending key; without hits that only legs of weight 0 found
     * @throws IllegalArgumentException if a score is not finite
     */
    public List<FusedHit> fuse(List<Ranking> legs) {
        int count = legs.size();
        int most = 0;
        for (Ranking ranking : legs) {
            most += ranking.size();
        }
        KeySlots hits = new KeySlots(most);
        // Rank of each hit in each leg, from 1; 0 if the leg did not find the hit.
        int[] ranks = new int[most * count];
        float[] weightOf = new float[count];
        double[][] normalized = new double[count][];
        for (int leg = 0; leg < count; leg++) {
            Ranking ranking = legs.get(leg);
            weightOf[leg] = weight(leg);
            requireFinite(leg, ranking.scores());
            normalized[leg] = normalization.normalize(
                ranking.scores(),
                ranking.ranges(),
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
            double score = learned == null
                ? combination.combine(scores, weightOf)
                : learned.probability(ranks, slot * count, legs, scores);
            fused[slot] = (float) score;
        }
        int[] order = hits.order(fused);
        List<FusedHit> best = new ArrayList<>(Math.min(window, order.length));
        for (int i = 0; i < order.length && best.size() < window; i++) {
            LegScore[] evidence = new LegScore[count];
            boolean weighs = false;
            for (int leg = 0; leg < count; leg++) {
                int rank = ranks[order[i] * count + leg];
                weighs |= rank > 0 && weightOf[leg] > 0;
                evidence[leg] = rank == 0 ? null : new LegScore(rank, legs.get(leg).scores()[rank - 1], (float) normalized[leg][rank - 1]);
            }
            if (weighs) {
                best.add(new FusedHit(hits.key(order[i]), fused[order[i]], evidence));
            }
        }
        return best;
    }

    private static void requireFinite(int leg, float[] scores) {
        for (float score : scores) {
            if (Float.isFinite(score) == false) {
                throw new IllegalArgumentException(
                    "[fusion] expected finite scores of leg [" + leg + "], got [" + score + "]: lower the boost of its query"
                );
            }
        }
    }

    /** Returns the JSON object that {@link FusionParser} reads. */
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
        if (learned != null) {
            combine.put("parameters", learned.asMap());
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
