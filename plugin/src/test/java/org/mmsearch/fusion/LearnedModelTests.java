package org.mmsearch.fusion;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.test.OpenSearchTestCase;

/** Tests the learned fusion against numbers by hand and against the golden file that the Python tests read too. */
public class LearnedModelTests extends OpenSearchTestCase {

    private static final String TWO_LEGS = "{\"version\": 1, \"intercept\": -2.0, \"legs\": ["
        + "{\"found\": 0.5, \"score\": 1.0, \"reciprocal_rank\": 11, \"raw\": 0.1},"
        + "{\"found\": -0.5, \"score\": 2.0, \"reciprocal_rank\": 0, \"raw\": 0.0}], \"products\": [3.0]}";

    private static Fusion fusion(String parameters) {
        String json = "{\"combination\": {\"technique\": \"learned\", \"parameters\": " + parameters + "}}";
        return FusionParser.parse(XContentHelper.convertToMap(XContentType.JSON.xContent(), json, false)).window(100);
    }

    private static double probability(double z) {
        return 1 / (1 + Math.exp(-z));
    }

    public void testByHand() {
        Ranking first = new Ranking(new long[] { 1, 2 }, new float[] { 10, 6 });
        Ranking second = new Ranking(new long[] { 2, 3 }, new float[] { 0.75f, 0.5f });
        List<FusedHit> hits = fusion(TWO_LEGS).fuse(List.of(first, second));
        assertEquals(List.of(2L, 1L, 3L), hits.stream().map(FusedHit::key).toList());
        // Normalized: hit 1 has 1 in the first leg; hit 2 the floor there and 1 in the second; hit 3 the floor.
        assertEquals(probability(-2 + 0.5 + 0.001 + 11 / 12.0 + 0.6 - 0.5 + 2 + 3 * 0.001), hits.get(0).score(), 1e-6);
        assertEquals(probability(-2 + 0.5 + 1 + 1 + 1), hits.get(1).score(), 1e-6);
        assertEquals(probability(-2 - 0.5 + 0.002), hits.get(2).score(), 1e-6);
    }

    public void testTheLegsAndTheRestAddUpToTheLogOdds() {
        Ranking first = new Ranking(new long[] { 1, 2 }, new float[] { 10, 6 });
        Ranking second = new Ranking(new long[] { 2 }, new float[] { 0.75f });
        Fusion fusion = fusion(TWO_LEGS);
        for (FusedHit hit : fusion.fuse(List.of(first, second))) {
            double z = fusion.learned().rest(hit.legs());
            for (int leg = 0; leg < 2; leg++) {
                z += hit.legs()[leg] == null ? 0 : fusion.learned().logOdds(leg, hit.legs()[leg]);
            }
            assertEquals(probability(z), hit.score(), 1e-6);
        }
    }

    @SuppressWarnings("unchecked")
    public void testGoldenFile() throws IOException {
        List<Object> cases;
        try (
            InputStream file = getClass().getResourceAsStream("/learned-fusion.json");
            XContentParser parser = XContentType.JSON.xContent()
                .createParser(NamedXContentRegistry.EMPTY, DeprecationHandler.THROW_UNSUPPORTED_OPERATION, file)
        ) {
            cases = parser.list();
        }
        assertEquals(6, cases.size());
        for (Object item : cases) {
            Map<String, Object> golden = (Map<String, Object>) item;
            Map<String, Long> keys = new HashMap<>();
            List<Ranking> legs = new ArrayList<>();
            for (List<List<Object>> leg : (List<List<List<Object>>>) golden.get("legs")) {
                long[] products = new long[leg.size()];
                float[] scores = new float[leg.size()];
                for (int i = 0; i < products.length; i++) {
                    products[i] = keys.computeIfAbsent((String) leg.get(i).get(0), name -> (long) keys.size());
                    scores[i] = ((Number) leg.get(i).get(1)).floatValue();
                }
                legs.add(new Ranking(products, scores));
            }
            Map<String, Object> combination = Map.of("technique", "learned", "parameters", golden.get("parameters"));
            Fusion fusion = FusionParser.parse(Map.of("combination", combination)).validate(legs.size()).window(100);
            Map<Long, Float> fused = new LinkedHashMap<>();
            fusion.fuse(legs).forEach(hit -> fused.put(hit.key(), hit.score()));
            Map<String, Number> expected = (Map<String, Number>) golden.get("fused");
            assertEquals(expected.size(), fused.size());
            expected.forEach((product, score) -> assertEquals(score.floatValue(), fused.get(keys.get(product)), 1e-6f));
        }
    }

    public void testJsonAndWire() throws IOException {
        Fusion fusion = fusion(TWO_LEGS);
        assertEquals(fusion, FusionParser.parse(fusion.asMap()));
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            fusion.writeTo(out);
            assertEquals(fusion, Fusion.read(out.bytes().streamInput()));
        }
    }

    public void testAnotherVersionOnTheWireIsRefused() throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            out.writeVInt(LearnedModel.VERSION + 1);
            IOException error = expectThrows(IOException.class, () -> LearnedModel.read(out.bytes().streamInput()));
            assertEquals("expected a learned fusion of version 1, got 2: upgrade all nodes", error.getMessage());
        }
    }

    public void testALegLessCountsAsOneThatFoundNothing() {
        LearnedModel.Leg one = new LearnedModel.Leg(1, 2, 3, 4);
        LearnedModel.Leg two = new LearnedModel.Leg(5, 6, 7, 8);
        LearnedModel.Leg three = new LearnedModel.Leg(9, 10, 11, 12);
        LearnedModel model = new LearnedModel(-1, List.of(one, two, three), List.of(0.1, 0.2, 0.3));
        assertEquals(new LearnedModel(-1, List.of(one, three), List.of(0.2)), model.only(List.of(0, 2)));
    }

    public void testWhatIsNoModelIsExplained() {
        assertRefused(TWO_LEGS.replace("\"version\": 1", "\"version\": 2"), "expected a learned fusion of version 1, got [2]");
        assertRefused(TWO_LEGS.replace("\"version\": 1, ", ""), "expected [version] in [combination.parameters]");
        assertRefused(TWO_LEGS.replace("\"products\": [3.0]", "\"products\": []"), "expected one product per pair of legs, 1 for 2 legs, got 0");
        assertRefused(TWO_LEGS.replace("\"raw\": 0.1", "\"raw\": \"much\""), "expected a number from -1000000 to 1000000 in [raw], got [much]");
        assertRefused(TWO_LEGS.replace("\"raw\": 0.1", "\"raw\": 1e9"), "in [raw], got [1.0E9]");
        assertRefused(TWO_LEGS.replace(", \"raw\": 0.1", ""), "expected [raw] in [legs] of a learned fusion, got none");
        assertRefused(TWO_LEGS.replace("\"raw\": 0.1", "\"raw\": 0.1, \"rank\": 1"), "[legs] does not support [rank]");
        assertRefused(TWO_LEGS.replace("\"intercept\"", "\"weights\": [0.5, 0.5], \"intercept\""), "does not support [weights]");
        IllegalArgumentException error = expectThrows(IllegalArgumentException.class, () -> fusion(TWO_LEGS).validate(3));
        assertEquals("[fusion] expected a model of as many legs as queries, 3, got one of 2: learn it on these legs", error.getMessage());
    }

    private static void assertRefused(String parameters, String message) {
        IllegalArgumentException error = expectThrows(IllegalArgumentException.class, () -> fusion(parameters));
        assertTrue(error.getMessage(), error.getMessage().contains(message));
    }
}
