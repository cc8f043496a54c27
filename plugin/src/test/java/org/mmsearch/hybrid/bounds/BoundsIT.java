package org.mmsearch.hybrid.bounds;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.bulk.BulkRequestBuilder;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchType;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.search.SearchHit;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Hybrids normalized by what their queries could reach, on one shard and on three, in each way that answers them. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class BoundsIT extends MmsearchIT {

    private static final int PRODUCTS = 40;
    private static final String WORDS = """
        {"multi_match": {"query": "red kettle", "fields": ["title^2", "description"], "type": "cross_fields", "tie_breaker": 0.3}}""";
    private static final String NEAR = """
        {"knn": {"v": {"vector": [1, 0], "k": 40}}}""";
    private static final String SCRIPTED = """
        {"function_score": {"query": {"match": {"title": "red"}}, "field_value_factor": {"field": "price"}}}""";

    private static String body(String... legs) {
        return "{\"size\": 40, \"query\": {\"hybrid\": {\"fusion\": {\"normalization\": {\"technique\": \"theoretical_min_max\"}}, \"queries\": ["
            + String.join(",", legs) + "]}}}";
    }

    private void fill(String index, int shards) {
        createProducts(index, shards, 2);
        BulkRequestBuilder bulk = client().prepareBulk();
        for (int i = 0; i < PRODUCTS; i++) {
            String title = (i % 2 == 0 ? "red " : "blue ") + (i % 5 == 0 ? "kettle" : "chair") + " x".repeat(i % 7);
            String source = "{\"title\": \"" + title.trim() + "\", \"description\": \"" + (i % 3 == 0 ? "a red thing" : "a thing") + "\", \"price\": "
                + (i + 1) + ", \"v\": [" + (PRODUCTS - i) + ", " + i + "]}";
            bulk.add(client().prepareIndex(index).setId("p" + i).setSource(source, XContentType.JSON));
        }
        assertFalse(bulk.get().hasFailures());
        refresh(index);
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> legs(SearchHit hit) {
        return hit.field("_legs").getValues().stream().map(leg -> (Map<String, Object>) leg).toList();
    }

    private SearchResponse ask(String index, SearchType type, String body) {
        SearchRequest request = asked(index, body).searchType(type);
        return asker().search(request).actionGet();
    }

    /** The score of a text leg over its bound, and that of a vector leg over its metric's. */
    public void testEveryHitSaysItsBounds() {
        fill("one", 1);
        Map<Object, Object> bounds = new HashMap<>();
        for (SearchHit hit : ask("one", SearchType.QUERY_THEN_FETCH, body(WORDS, NEAR)).getHits()) {
            double sum = 0;
            for (Map<String, Object> leg : legs(hit)) {
                float bound = ((Number) leg.get("bound")).floatValue();
                float score = ((Number) leg.get("score")).floatValue();
                // At least 0.001, so that a hit counts as found.
                assertEquals(Math.max(score / bound, 0.001), ((Number) leg.get("normalized")).floatValue(), 1e-4);
                assertTrue(score <= bound);
                bounds.put(leg.get("name"), bound);
                sum += Math.max(score / bound, 0.001);
            }
            assertEquals(sum / 2, hit.getScore(), 1e-4);
        }
        assertEquals(1f, bounds.get("1"));
        // "red" is in 20 of 40 titles and in 14 descriptions, where the query takes it for as frequent as in the titles, and one more.
        // "kettle" is in 8 titles alone.
        double red = Math.log(1 + 20.5 / 20.5);
        double less = Math.log(1 + 19.5 / 21.5);
        double kettle = Math.log(1 + 32.5 / 8.5);
        assertEquals(2 * red + 0.3 * less + 2 * kettle, (Float) bounds.get("0"), 1e-4);
    }

    public void testALegWithoutABoundSaysSo() {
        fill("script", 3);
        for (SearchHit hit : ask("script", SearchType.QUERY_THEN_FETCH, body(SCRIPTED, NEAR)).getHits()) {
            for (Map<String, Object> leg : legs(hit)) {
                assertEquals(leg.get("name").equals("0") ? "min_max" : null, leg.get("normalization"));
                assertEquals(leg.get("name").equals("1"), leg.containsKey("bound"));
            }
        }
    }

    /** With the statistics of all shards, three shards answer as one does. (Across fields, BM25 itself scores otherwise then.) */
    public void testGlobalStatisticsGiveOneBound() {
        fill("single", 1);
        fill("three", 3);
        String body = body("{\"multi_match\": {\"query\": \"red kettle\", \"fields\": [\"title^2\", \"description\"], \"tie_breaker\": 0.3}}", NEAR);
        List<String> expected = described(ask("single", SearchType.DFS_QUERY_THEN_FETCH, body));
        assertEquals(expected, described(ask("three", SearchType.DFS_QUERY_THEN_FETCH, body)));
    }

    /** Without them each shard has its own, and the order of a leg is still that of its scores. */
    public void testEachShardHasItsOwnBound() throws Exception {
        fill("own", 3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                Map<Float, Object> bounds = new HashMap<>();
                float[] normalized = new float[PRODUCTS + 1];
                for (SearchHit hit : ask("own", SearchType.QUERY_THEN_FETCH, body(WORDS, NEAR)).getHits()) {
                    for (Map<String, Object> leg : legs(hit)) {
                        if (leg.get("name").equals("0")) {
                            bounds.put(((Number) leg.get("bound")).floatValue(), hit.getShard());
                            normalized[((Number) leg.get("rank")).intValue()] = ((Number) leg.get("normalized")).floatValue();
                        }
                    }
                }
                assertTrue(bounds.toString(), bounds.size() > 1);
                for (int rank = 2; rank < normalized.length && normalized[rank] > 0; rank++) {
                    assertTrue(normalized[rank] <= normalized[rank - 1]);
                }
            });
        }
    }

    private static List<String> described(SearchResponse response) {
        List<String> hits = new ArrayList<>();
        for (SearchHit hit : response.getHits()) {
            hits.add(hit.getId() + " " + Math.round(hit.getScore() * 1e4) + " " + legs(hit).stream().map(leg -> leg.get("bound")).toList());
        }
        return hits.stream().sorted().toList();
    }
}
