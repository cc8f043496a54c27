package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/**
 * Tests uncompressed faiss vectors, of which k-NN finds {@code k} per segment: one segment and many segments return the same hits. k-NN is
 * configured to build no graphs, which need its native libraries, and compares all vectors of a segment.
 */
public class FaissSegmentsIT extends NeuralIT {

    private static final int PRODUCTS = 40;
    private static final int SEGMENTS = 8;

    private static final String TITLES = "{\"match\": {\"title\": \"chair\"}}";
    private static final String NEURAL = "{\"neural\": {\"v\": {\"query_text\": \"xxxxx\", \"k\": 3}}}";
    private static final String NESTED = "{\"nested\": {\"path\": \"images\", \"score_mode\": \"max\", \"query\": "
        + "{\"neural\": {\"images.v\": {\"query_text\": \"xxxxx\", \"k\": 3}}}}}";

    /** The queries around a vector query. */
    private static final List<String> PLACES = List.of(
        "%s",
        "{\"bool\": {\"must\": [%s], \"should\": [{\"term\": {\"color\": \"red\"}}]}}",
        "{\"bool\": {\"should\": [%s, {\"term\": {\"title\": \"7\"}}]}}",
        "{\"bool\": {\"must\": [{\"match\": {\"title\": \"chair\"}}], \"must_not\": [%s]}}",
        "{\"bool\": {\"must\": [{\"match\": {\"title\": \"chair\"}}], \"filter\": [%s]}}",
        "{\"constant_score\": {\"filter\": %s}}",
        "{\"function_score\": {\"query\": %s, \"weight\": 3}}",
        "{\"dis_max\": {\"queries\": [%s, {\"term\": {\"title\": \"7\"}}]}}",
        "{\"boosting\": {\"positive\": %s, \"negative\": {\"term\": {\"color\": \"red\"}}, \"negative_boost\": 0.5}}"
    );

    @Override
    protected Collection<Class<? extends Plugin>> getMockPlugins() {
        return withOwnSearches(super.getMockPlugins());
    }

    private void create(String name, int shards) {
        Settings settings = Settings.builder()
            .put("index.number_of_shards", shards)
            .put("index.number_of_replicas", 0)
            .put("index.knn", true)
            .put("index.knn.advanced.approximate_threshold", -1)
            // A refresh of its own, as on a slow machine, would leave segments that a merge orders by size.
            .put("index.refresh_interval", -1)
            .put(UNMERGED)
            .build();
        String encoder = "{\"model\": \"query_encoder\", \"model_version\": \"1\", \"fingerprint\": \"f1\", \"dimension\": 2}";
        String vector = "{\"type\": \"knn_vector\", \"dimension\": 2, \"space_type\": \"l2\", "
            + "\"method\": {\"name\": \"hnsw\", \"engine\": \"faiss\"}}";
        String mapping = "{\"_meta\": {\"mmsearch\": {\"version\": 1, \"fields\": {\"v\": " + encoder + ", \"images.v\": " + encoder
            + "}}}, \"properties\": {\"title\": {\"type\": \"text\"}, \"color\": {\"type\": \"keyword\"}, \"v\": " + vector
            + ", \"images\": {\"type\": \"nested\", \"properties\": {\"v\": " + vector + "}}}}";
        assertAcked(client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(mapping));
        ensureGreen(name);
    }

    /** A text of N letters has the angle N/10. No two products have the same distance from it. */
    private static void index(String name, int product) {
        String v = Arrays.toString(StubTriton.vectorOf("x".repeat(product)));
        String source = "{\"title\": \"chair %s\", \"color\": \"%s\", \"v\": %s, \"images\": [{\"v\": %s}, {\"v\": [5, %s]}]}";
        client().prepareIndex(name)
            .setId("p" + product)
            .setSource(source.formatted(product, product % 2 == 0 ? "red" : "blue", v, v, product), XContentType.JSON)
            .get();
    }

    /** The same products in one segment per shard, and in many. */
    private void fill(String one, String many, int shards) {
        for (String name : List.of(one, many)) {
            create(name, shards);
            for (int i = 0; i < PRODUCTS; i++) {
                index(name, i);
                if (name.equals(many) && i % (PRODUCTS / SEGMENTS) == 0) {
                    refresh(name);
                }
            }
            refresh(name);
        }
        client().admin().indices().prepareForceMerge(one).setMaxNumSegments(1).get();
        refresh(one);
        assertEquals(shards, segments(one));
        assertTrue("segments: " + segments(many), segments(many) > 2 * shards);
    }

    private static List<String> hits(String index, String body) {
        SearchResponse response = ask(index, body);
        assertEquals(body, 0, response.getFailedShards());
        List<String> hits = new ArrayList<>();
        hits.add(response.getHits().getTotalHits() + ", " + response.getHits().getMaxScore());
        for (SearchHit hit : response.getHits()) {
            Object legs = hit.field("_legs") == null ? "" : hit.field("_legs").getValues();
            hits.add(hit.getId() + " " + hit.getScore() + " " + legs + " " + Map.copyOf(hit.getMatchedQueriesAndScores()));
        }
        assertTrue(body, hits.size() > 1);
        return hits;
    }

    private static String asked(String query) {
        return "{\"size\": " + PRODUCTS + ", \"query\": " + query + "}";
    }

    private static String hybrid(String leg) {
        return asked("{\"hybrid\": {\"queries\": [" + leg + ", " + TITLES + "]}}");
    }

    /** @param bodies searches whose hits are in one order, whatever the segments */
    private static void assertSame(String one, String many, List<String> bodies) {
        for (String mode : List.of("none", "all", "auto")) {
            slices(many, mode, 3);
            for (String body : bodies) {
                assertEquals(mode + " " + body, hits(one, body), hits(many, body));
            }
        }
    }

    private static List<String> bodies(String query) {
        List<String> bodies = new ArrayList<>();
        for (String place : PLACES) {
            bodies.add(hybrid(place.formatted(query)));
        }
        return bodies;
    }

    public void testLegs() throws Exception {
        for (int shards : new int[] { 1, 3 }) {
            fill("one" + shards, "many" + shards, shards);
            List<String> bodies = new ArrayList<>();
            bodies.addAll(bodies(NEURAL));
            bodies.addAll(bodies(NEURAL.replace("3}", "3, \"filter\": {\"term\": {\"color\": \"blue\"}}}")));
            bodies.addAll(bodies("{\"knn\": {\"v\": {\"vector\": [0.9, 0.5], \"k\": 3, \"boost\": 2}}}"));
            bodies.addAll(bodies(NESTED));
            bodies.addAll(bodies("{\"nested\": {\"path\": \"images\", \"query\": {\"knn\": {\"images.v\": {\"vector\": [5, 8.3], \"k\": 3}}}}}"));
            bodies.add(hybrid(NESTED.replace("3}", "3, \"expand_nested_docs\": true}")));
            bodies.add(hybrid(NEURAL.replace("\"k\": 3", "\"min_score\": 0.8")));
            bodies.add(hybrid(NEURAL.replace("\"k\": 3", "\"k\": 3, \"cutoff\": {\"min_score\": 0.99}")));
            bodies.add(hybrid(NEURAL.replace("3}", "3, \"_name\": \"near\"}")));
            bodies.add(hybrid(NEURAL).replace("{\"size\"", "{\"profile\": true, \"explain\": true, \"size\""));
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> assertSame("one" + shards, "many" + shards, bodies));
            }
        }
        assertNothingOpen();
    }

    public void testAClauseAlone() throws Exception {
        for (int shards : new int[] { 1, 3 }) {
            String one = "one" + shards;
            String many = "many" + shards;
            fill(one, many, shards);
            List<String> bodies = new ArrayList<>();
            for (String place : PLACES.subList(0, 4)) {
                bodies.add(asked(place.formatted(NEURAL)));
            }
            bodies.add(asked(NESTED));
            bodies.add(asked(NEURAL.replace("3}", "3, \"boost\": 2, \"_name\": \"near\"}")));
            bodies.add(asked(NEURAL).replace("{\"size\"", "{\"profile\": true, \"explain\": true, \"size\""));
            bodies.add(asked(NEURAL).replace("{\"size\"", "{\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}, \"size\""));
            assertSame(one, many, bodies);
            assertEquals(shards * 3L, ask(many, asked(NEURAL)).getHits().getTotalHits().value());
            // Deleted and replaced documents do not count for k.
            for (String name : List.of(one, many)) {
                client().prepareDelete(name, "p5").get();
                index(name, 4);
                refresh(name);
            }
            assertSame(one, many, bodies);
            assertEquals(shards * 3L, ask(many, asked(NEURAL)).getHits().getTotalHits().value());
        }
    }

    public void testExplanation() {
        fill("one", "many", 1);
        String boosted = NEURAL.replace("3}", "3, \"boost\": 2}");
        SearchHit best = ask("many", asked(boosted).replace("{\"size\"", "{\"explain\": true, \"size\"")).getHits().getAt(0);
        assertEquals(2, best.getScore(), 1e-6);
        assertEquals(best.getScore(), best.getExplanation().getValue());
        assertTrue(best.getExplanation().toString(), best.getExplanation().toString().contains("among the best 3 of the shard"));
        assertTrue(client().prepareExplain("many", "p5").setQuery(asked("many", asked(boosted)).source().query()).get().isMatch());
        assertFalse(client().prepareExplain("many", "p20").setQuery(asked("many", asked(boosted)).source().query()).get().isMatch());
    }
}
