package org.mmsearch.fusion;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.test.OpenSearchTestCase;

/** Tests fusion against numbers computed by hand. */
public class FusionTests extends OpenSearchTestCase {

    /** Hits 1, 2, 3 with the scores 10, 6, 2. */
    private static final Ranking FIRST = new Ranking(new long[] { 1, 2, 3 }, new float[] { 10, 6, 2 });
    /** Hits 3, 4 with the scores 0.9, 0.3. */
    private static final Ranking SECOND = new Ranking(new long[] { 3, 4 }, new float[] { 0.9f, 0.3f });

    private static Fusion fusion(String json) {
        Map<String, Object> map = XContentHelper.convertToMap(XContentType.JSON.xContent(), json, false);
        return FusionParser.parse(map).window(10);
    }

    private static void assertFused(Fusion fusion, Object... keysAndScores) {
        List<FusedHit> hits = fusion.fuse(List.of(FIRST, SECOND));
        List<Object> keys = new ArrayList<>();
        for (int i = 0; i < keysAndScores.length; i += 2) {
            keys.add(((Number) keysAndScores[i]).longValue());
            assertEquals("score of " + keysAndScores[i], (Double) keysAndScores[i + 1], hits.get(i / 2).score(), 1e-5);
        }
        assertEquals(keys, hits.stream().map(hit -> (Object) hit.key()).toList());
    }

    public void testMinMaxArithmetic() {
        // Normalized: 1, 0.5, floor and 1, floor; halved, because a leg that did not find the hit counts as 0.
        assertFused(Fusion.DEFAULT.window(10), 3, (0.001 + 1) / 2, 1, 0.5, 2, 0.25, 4, 0.0005);
    }

    public void testWeights() {
        assertFused(
            fusion("{\"combination\": {\"parameters\": {\"weights\": [0.3, 0.7]}}}"),
            3, 0.3 * 0.001 + 0.7, 1, 0.3, 2, 0.15, 4, 0.0007
        );
    }

    public void testL2Geometric() {
        // √(100 + 36 + 4) = √140 and √(0.81 + 0.09) = √0.9; hit 3 is the geometric mean of both.
        double three = Math.sqrt(2 / Math.sqrt(140) * (0.9 / Math.sqrt(0.9)));
        assertFused(
            fusion("{\"normalization\": {\"technique\": \"l2\"}, \"combination\": {\"technique\": \"geometric_mean\"}}"),
            1, 10 / Math.sqrt(140), 2, 6 / Math.sqrt(140), 3, three, 4, 0.3 / Math.sqrt(0.9)
        );
    }

    public void testMinMaxHarmonic() {
        // Hit 3: 2 / (1/0.001 + 1/1).
        assertFused(
            fusion("{\"combination\": {\"technique\": \"harmonic_mean\"}}"),
            1, 1.0, 2, 0.5, 3, 2 / 1001.0, 4, 0.001
        );
    }

    public void testZScore() {
        // Means 6 and 0.6, sample deviations 4 and 0.3√2: z is 1, 0, -1 and ±1/√2; below the floor, 0.001 · exp(z − 0.001) counts.
        assertFused(
            fusion("{\"normalization\": {\"technique\": \"z_score\"}}"),
            1, 0.5, 3, (0.001 * Math.exp(-1.001) + 1 / Math.sqrt(2)) / 2, 2, 0.0005 * Math.exp(-0.001), 4, 0.0005 * Math.exp(-0.7081)
        );
    }

    public void testReciprocalRank() {
        assertFused(
            fusion("{\"combination\": {\"technique\": \"rrf\"}}"),
            3, 1 / 63.0 + 1 / 61.0, 1, 1 / 61.0, 2, 1 / 62.0, 4, 1 / 62.0
        );
    }

    public void testBounds() {
        String bounds = "{\"normalization\": {\"parameters\": {\"lower_bounds\": [{\"mode\": \"%s\", \"min_score\": 4}, "
            + "{\"mode\": \"ignore\"}], \"upper_bounds\": [{\"mode\": \"%s\", \"max_score\": 8}, {\"mode\": \"ignore\"}]}}}";
        // clip: 10 is clipped to 8 and 2 to 4; 6 is in the middle.
        assertFused(fusion(bounds.formatted("clip", "clip")), 3, (0.001 + 1) / 2, 1, 0.5, 2, 0.25, 4, 0.0005);
        // apply below: 10 and 6 use the minimum 4, (10−4)/6 = 1 and (6−4)/6; 2 uses the leg's own minimum.
        assertFused(fusion(bounds.formatted("apply", "ignore")), 3, (0.001 + 1) / 2, 1, 0.5, 2, 1 / 6.0, 4, 0.0005);
        // apply above: 6 uses the maximum 8, (6−2)/6; 10 exceeds it and uses the leg's own maximum.
        assertFused(fusion(bounds.formatted("ignore", "apply")), 3, (0.001 + 1) / 2, 1, 0.5, 2, 2 / 6.0, 4, 0.0005);
    }

    public void testEqualScoresAndLoneHitsCountFully() {
        Ranking equal = new Ranking(new long[] { 1, 2 }, new float[] { 3, 3 });
        Ranking lone = new Ranking(new long[] { 2 }, new float[] { 0.1f });
        for (String technique : List.of("min_max", "z_score")) {
            List<FusedHit> hits = fusion("{\"normalization\": {\"technique\": \"" + technique + "\"}}").fuse(List.of(equal, lone));
            assertEquals(2, hits.get(0).key());
            assertEquals(1f, hits.get(0).score(), 0f);
            assertEquals(0.5f, hits.get(1).score(), 0f);
        }
    }

    public void testEmptyLegs() {
        assertEquals(List.of(), Fusion.DEFAULT.window(10).fuse(List.of(Ranking.EMPTY, Ranking.EMPTY)));
        List<FusedHit> hits = Fusion.DEFAULT.window(10).fuse(List.of(Ranking.EMPTY, SECOND));
        assertEquals(0.5f, hits.get(0).score(), 0f);
        assertEquals(1, hits.get(0).onlyLeg());
    }

    public void testWindowCutsAndEvidenceStays() {
        List<FusedHit> hits = Fusion.DEFAULT.window(1).fuse(List.of(FIRST, SECOND));
        assertEquals(1, hits.size());
        assertEquals(-1, hits.get(0).onlyLeg());
        assertEquals(new LegScore(3, 2f, 0.001f), hits.get(0).legs()[0]);
        assertEquals(new LegScore(1, 0.9f, 1f), hits.get(0).legs()[1]);
    }

    public void testManyHitsComeByScoreAndThenByKey() {
        // Reciprocal ranks of two legs often tie; keys from many shards differ only in their upper halves.
        List<Long> keys = new ArrayList<>();
        for (long shard = 0; shard < 7; shard++) {
            for (long document = 0; document < 50; document++) {
                keys.add(shard << Integer.SIZE | document);
            }
        }
        Map<Long, Float> expected = new HashMap<>();
        List<Ranking> legs = new ArrayList<>();
        for (int leg = 0; leg < 2; leg++) {
            Collections.shuffle(keys, random());
            float[] scores = new float[200];
            for (int i = 0; i < scores.length; i++) {
                scores[i] = scores.length - i;
                expected.merge(keys.get(i), 1f / (60 + i + 1), Float::sum);
            }
            legs.add(new Ranking(keys.stream().limit(200).mapToLong(Long::longValue).toArray(), scores));
        }
        List<FusedHit> hits = fusion("{\"combination\": {\"technique\": \"rrf\"}}").window(400).fuse(legs);
        assertEquals(expected.keySet(), hits.stream().map(FusedHit::key).collect(Collectors.toSet()));
        assertEquals(expected.size(), hits.size());
        for (int i = 0; i < hits.size(); i++) {
            FusedHit hit = hits.get(i);
            assertEquals(expected.get(hit.key()), hit.score(), 1e-6f);
            assertTrue(i == 0 || hits.get(i - 1).score() > hit.score() || hits.get(i - 1).score() == hit.score() && hits.get(i - 1).key() < hit.key());
        }
    }

    public void testOnlyRenormalizesWeights() {
        Fusion three = fusion("{\"combination\": {\"parameters\": {\"weights\": [0.5, 0.3, 0.2]}}}");
        List<Float> rest = three.only(List.of(0, 2)).weights();
        assertEquals(0.5 / 0.7, rest.get(0), 1e-6);
        assertEquals(0.2 / 0.7, rest.get(1), 1e-6);
    }

    public void testCutoff() {
        // Scores 0.5005, 0.5, 0.25, 0.0005.
        List<FusedHit> hits = Fusion.DEFAULT.window(10).fuse(List.of(FIRST, SECOND));
        assertEquals(2, Cutoff.parse(Map.of("relative_max", 0.6)).cut(hits).size());
        assertEquals(3, Cutoff.parse(Map.of("min_score", 0.2)).cut(hits).size());
        assertEquals(2, Cutoff.parse(Map.of("gap", 0.3)).cut(hits).size());
        assertEquals(0, Cutoff.parse(Map.of("min_score", 0.9)).cut(hits).size());
        assertEquals(4, Cutoff.NONE.cut(hits).size());
    }

    private static final String BOUNDS = "{\"normalization\": {\"technique\": \"theoretical_min_max\"}}";

    private static double[] normalized(Fusion fusion, Ranking leg) {
        return fusion.fuse(List.of(leg)).stream().mapToDouble(hit -> hit.legs()[0].normalized()).toArray();
    }

    public void testScoresOverWhatTheirQueryCouldReach() {
        Ranking leg = new Ranking(new long[] { 1, 2, 3 }, new float[] { 10, 6, 2 }, new ScoreRange(0, 20));
        assertArrayEquals(new double[] { 0.5, 0.3, 0.1 }, normalized(fusion(BOUNDS), leg), 1e-6);
        // Hits at or below the score of a random document still count as found.
        Ranking floored = new Ranking(new long[] { 1, 2, 3 }, new float[] { 10, 6, 2 }, new ScoreRange(6, 20));
        double[] found = normalized(fusion(BOUNDS), floored);
        assertEquals(4 / 14.0, found[0], 1e-6);
        assertEquals(0.001, found[1], 1e-6);
        assertTrue(found[2] > 0 && found[2] < found[1]);
    }

    public void testEachHitIsNormalizedByTheRangeOfItsShard() {
        ScoreRange[] ranges = { new ScoreRange(0, 20), new ScoreRange(0, 8), new ScoreRange(0, 20) };
        double[] found = normalized(fusion(BOUNDS), new Ranking(new long[] { 1, 2, 3 }, new float[] { 10, 6, 2 }, ranges));
        // The second hit would be at 0.75, but the order of a leg never changes.
        assertEquals(0.5, found[0], 1e-6);
        assertTrue(found[1] < found[0] && found[1] > 0.499);
        assertEquals(0.1, found[2], 1e-6);
    }

    public void testALegWithoutABoundIsNormalizedByItsOwnScores() {
        assertArrayEquals(new double[] { 1, 0.5, 0.001 }, normalized(fusion(BOUNDS), FIRST), 1e-6);
        assertEquals(Map.of("normalization", "min_max"), fusion(BOUNDS).evidence(0, ScoreRange.NONE));
        assertEquals(Map.of("bound", 20f, "floor", 6f), fusion(BOUNDS).evidence(0, new ScoreRange(6, 20)));
        assertEquals(Map.of("bound", 20f), fusion(BOUNDS).evidence(0, new ScoreRange(0, 20)));
    }

    public void testBoundsOfTheUserTakeThePlaceOfTheQuerys() {
        Fusion fusion = fusion(
            "{\"normalization\": {\"technique\": \"theoretical_min_max\", \"parameters\": {\"lower_bounds\": [{\"min_score\": 1}],"
                + "\"upper_bounds\": [{\"max_score\": 11}]}}}"
        );
        assertArrayEquals(new double[] { 0.9, 0.5, 0.1 }, normalized(fusion, FIRST), 1e-6);
        assertEquals(Map.of("bound", 11f, "floor", 1f), fusion.evidence(0, ScoreRange.NONE));
    }

    /** Leg 2 has weight 0: of its hits, those that leg 1 found too stay, and the others go. */
    public void testHitsThatOnlyALegOfWeightZeroFoundAreLeftOut() {
        for (String technique : List.of("arithmetic_mean", "geometric_mean", "harmonic_mean", "rrf")) {
            Fusion fusion = fusion("{\"combination\": {\"technique\": \"" + technique + "\", \"parameters\": {\"weights\": [1, 0]}}}");
            assertEquals(List.of(1L, 2L, 3L), fusion.fuse(List.of(FIRST, SECOND)).stream().map(FusedHit::key).toList());
        }
    }

    public void testJsonRoundTrip() {
        for (String json : List.of(
            "{}",
            "{\"normalization\": {\"technique\": \"theoretical_min_max\", \"parameters\": {\"lower_bounds\": [{\"min_score\": 0.5}]}}}",
            "{\"combination\": {\"technique\": \"rrf\", \"rank_constant\": 5, \"parameters\": {\"weights\": [0.5, 0.5]}}, \"window_size\": 7}",
            "{\"normalization\": {\"technique\": \"min_max\", \"parameters\": {\"lower_bounds\": [{\"mode\": \"clip\", \"min_score\": 2}]}}}",
            "{\"normalization\": {\"technique\": \"l2\"}, \"combination\": {\"technique\": \"harmonic_mean\"}}"
        )) {
            Fusion fusion = fusion(json);
            assertEquals(fusion, FusionParser.parse(fusion.asMap()).window(10));
        }
    }

    public void testWireRoundTrip() throws IOException {
        Fusion fusion = fusion(
            "{\"normalization\": {\"parameters\": {\"upper_bounds\": [{\"max_score\": 2}, {\"mode\": \"ignore\"}]}},"
                + "\"combination\": {\"parameters\": {\"weights\": [0.25, 0.75]}}}"
        );
        assertEquals(fusion, copyWriteable(fusion, writableRegistry(), Fusion::read));
        Cutoff cutoff = new Cutoff(0.5f, null, 0.1f);
        assertEquals(cutoff, copyWriteable(cutoff, writableRegistry(), Cutoff::new));
    }

    public void testWeightsThatWereRoundedSumToOneWithinAHundredth() {
        for (String weights : List.of("[0.33, 0.33, 0.33]", "[0.995]", "[0.5, 0.505]", "[0.99]", "[0.5, 0.51]")) {
            fusion("{\"combination\": {\"parameters\": {\"weights\": " + weights + "}}}");
        }
        for (String weights : List.of("[0.3, 0.3, 0.38]", "[0.5, 0.511]", "[0.989]")) {
            String json = "{\"combination\": {\"parameters\": {\"weights\": " + weights + "}}}";
            Exception e = expectThrows(IllegalArgumentException.class, () -> fusion(json));
            assertTrue(e.getMessage(), e.getMessage().contains("weights that sum to 1"));
        }
    }

    public void testScoresThatAreNoNumbers() {
        for (float score : new float[] { Float.NaN, Float.POSITIVE_INFINITY }) {
            Ranking overflowing = new Ranking(new long[] { 1, 2 }, new float[] { score, 1 });
            for (String json : List.of("{}", "{\"combination\": {\"technique\": \"rrf\"}}", "{\"normalization\": {\"technique\": \"l2\"}}")) {
                Exception e = expectThrows(IllegalArgumentException.class, () -> fusion(json).fuse(List.of(FIRST, overflowing)));
                assertTrue(e.getMessage(), e.getMessage().contains("expected finite scores of leg [1]"));
            }
        }
    }

    public void testRefusals() {
        Map<String, String> refused = Map.of(
            "{\"x\": 1}", "[fusion] does not support [x]",
            "{\"normalization\": {\"technique\": \"max\"}}", "expected a normalization technique of [min_max, l2, z_score, theoretical_min_max], got [max]",
            "{\"combination\": {\"technique\": \"mean\"}}", "expected a combination technique of",
            "{\"combination\": {\"parameters\": {\"weights\": [0.5, 0.6]}}}", "expected weights that sum to 1",
            "{\"combination\": {\"parameters\": {\"weights\": [-1, 2]}}}", "expected weights between 0 and 1",
            "{\"normalization\": {\"technique\": \"z_score\"}, \"combination\": {\"technique\": \"harmonic_mean\"}}",
            "z_score is supported only with arithmetic_mean, got [harmonic_mean]",
            "{\"normalization\": {\"technique\": \"l2\", \"parameters\": {\"lower_bounds\": []}}}", "bounds are supported only with min_max and theoretical_min_max, got [l2]",
            "{\"normalization\": {}, \"combination\": {\"technique\": \"rrf\"}}", "rrf combines ranks",
            "{\"combination\": {\"rank_constant\": 3}}", "[rank_constant] is supported only with the technique rrf, got [arithmetic_mean]",
            "{\"combination\": {\"technique\": \"rrf\", \"rank_constant\": 0}}", "whole number from 1 to 10000"
        );
        refused.forEach((json, message) -> {
            Exception e = expectThrows(IllegalArgumentException.class, () -> fusion(json));
            assertTrue(e.getMessage(), e.getMessage().contains(message));
        });
        Exception weights = expectThrows(
            IllegalArgumentException.class,
            () -> fusion("{\"combination\": {\"parameters\": {\"weights\": [0.5, 0.5]}}}").validate(3)
        );
        assertTrue(weights.getMessage(), weights.getMessage().contains("as many weights as queries, 3, got 2"));
        expectThrows(IllegalArgumentException.class, () -> Cutoff.parse(Map.of("gap", 1.5)));
        expectThrows(IllegalArgumentException.class, () -> Cutoff.parse(Map.of("top", 1)));
    }

    /** The hits of a leg keep their order under every technique and bound, and different scores stay different. */
    public void testNormalizationKeepsTheOrder() {
        for (int round = 0; round < 2_000; round++) {
            float[] scores = new float[randomIntBetween(1, 30)];
            boolean wide = randomBoolean();
            for (int i = 0; i < scores.length; i++) {
                scores[i] = wide ? (float) Math.exp(randomDouble() * 20 - 10) : randomIntBetween(0, 8) / 2f;
            }
            Arrays.sort(scores);
            for (int i = 0; i < scores.length / 2; i++) {
                float last = scores[scores.length - 1 - i];
                scores[scores.length - 1 - i] = scores[i];
                scores[i] = last;
            }
            Normalization technique = randomFrom(Normalization.values());
            Bound lower = randomBoolean() ? null : new Bound(randomFrom(Bound.Mode.values()), randomIntBetween(-2, 8));
            Bound upper = randomBoolean() ? null : new Bound(randomFrom(Bound.Mode.values()), randomIntBetween(1, 12));
            ScoreRange[] ranges = randomBoolean() ? null : new ScoreRange[scores.length];
            for (int i = 0; ranges != null && i < ranges.length; i++) {
                // Those of two shards, one of which may have none.
                ranges[i] = randomBoolean() ? new ScoreRange(randomIntBetween(0, 3), randomIntBetween(3, 12)) : ranges[0] == null ? ScoreRange.NONE : ranges[0];
            }
            double[] normalized = technique.normalize(scores, ranges, lower, upper, 60);
            for (int i = 1; i < scores.length; i++) {
                String what = technique + " " + lower + " " + upper + " of " + Arrays.toString(scores) + ": " + Arrays.toString(normalized);
                assertTrue(what, normalized[i] <= normalized[i - 1]);
                if (scores[i] < scores[i - 1]) {
                    assertTrue(what, normalized[i] < normalized[i - 1]);
                }
            }
        }
    }

    /** The worst hit of a leg with one outstanding hit. */
    public void testTheFloorStaysBelowEveryOtherHit() {
        double[] normalized = Normalization.MIN_MAX.normalize(new float[] { 10_000, 2, 1 }, null, null, null, 60);
        assertEquals(1, normalized[0], 0);
        assertEquals(1 / 9_999.0, normalized[1], 1e-12);
        assertTrue(normalized[2] < normalized[1]);
        assertTrue(normalized[2] > 0);
    }
}
