package org.mmsearch.hybrid;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchHits;
import org.opensearch.search.aggregations.bucket.terms.Terms;
import org.opensearch.search.builder.SearchSourceBuilder;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/**
 * Tests the clause on one shard, which fuses the legs, and on three, where they run in rounds, with the same expectations.
 *
 * <p>The first leg scores by price, the second by distance to 0; expected numbers are computed by hand.
 */
public class HybridIT extends MmsearchIT {

    private static final String PRICE = """
        {"function_score": {"query": {"range": {"price": {"gte": 1}}}, "boost_mode": "replace",
          "field_value_factor": {"field": "price"}, "_name": "price"}}""";
    private static final String NEAR = """
        {"knn": {"v": {"vector": [0, 0], "k": 3, "_name": "near"}}}""";

    /** Six products: prices 1 to 5 and one without, at distances 5 to 0 from the origin. */
    private void products(int count) {
        createProducts("products", count, 2);
        index("a", "chair", "red", 5f, 5);
        index("b", "chair", "red", 4f, 4);
        index("c", "chair", "blue", 3f, 3);
        index("d", "table", "blue", 2f, 2);
        index("e", "table", "green", 1f, 1);
        index("f", "table", "green", null, 0);
        refresh("products");
    }

    private void index(String id, String title, String color, Float price, int x) {
        String body = """
            {"title": "%s", "color": "%s", %s "v": [%s, 0]}""".formatted(
            title,
            color,
            price == null ? "" : "\"price\": " + price + ",",
            x
        );
        client().prepareIndex("products").setId(id).setSource(body, XContentType.JSON).get();
    }

    private static String hybrid(String rest, String... legs) {
        return "{\"query\": {\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]" + rest + "}}}";
    }

    private static List<String> ids(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(SearchHit::getId).toList();
    }

    private static Map<?, ?> leg(SearchHit hit, int position) {
        return (Map<?, ?>) hit.field("_legs").getValues().get(position);
    }

    public void testLegScoresOnHitsOnOneShard() {
        products(1);
        minMaxAndArithmeticMean();
    }

    public void testLegScoresOnHitsOnThreeShards() {
        products(3);
        minMaxAndArithmeticMean();
    }

    /**
     * Raw prices 5, 4, 3 (window 3) become 1, 0.5, 0.001. On one shard k = 3 finds f, e, d with 1/(1+d²) = 1, 0.5, 0.2, which become
     * 1, 0.375, 0.001; on three shards k counts per shard, and the window cuts the leg to the same three.
     */
    private void minMaxAndArithmeticMean() {
        SearchResponse response = ask("products", hybrid(", \"pagination_depth\": 3", PRICE, NEAR));
        assertEquals(3, response.getHits().getTotalHits().value());
        List<String> found = ids(response);
        // a and f have 0.5 each, b has 0.25.
        assertEquals(List.of("a", "f"), found.subList(0, 2).stream().sorted().toList());
        assertEquals("b", found.get(2));
        assertEquals(0.5f, response.getHits().getAt(0).getScore(), 1e-6f);
        assertEquals(0.25f, response.getHits().getAt(2).getScore(), 1e-6f);
        SearchHit b = response.getHits().getAt(2);
        assertEquals(1, b.field("_legs").getValues().size());
        assertEquals(Map.of("name", "price", "rank", 2, "score", 4f, "normalized", 0.5f, "only", true), leg(b, 0));
        assertEquals(List.of("price"), List.of(b.getMatchedQueries()));
    }

    public void testWeightsPerQueryOnOneShard() {
        products(1);
        rrfWithWeights();
    }

    public void testWeightsPerQueryOnThreeShards() {
        products(3);
        rrfWithWeights();
    }

    /** Price ranks a b c d e; nearness ranks f e d, of which the window lets k = 3 per shard through. */
    private void rrfWithWeights() {
        String near = "{\"knn\": {\"v\": {\"vector\": [0, 0], \"k\": 6}}}";
        String fusion = ", \"fusion\": {\"combination\": {\"technique\": \"rrf\", \"rank_constant\": 2, "
            + "\"parameters\": {\"weights\": [0.8, 0.2]}}}";
        SearchResponse response = ask("products", hybrid(fusion, PRICE, near));
        // a: 0.8/3 + 0.2/8 = 0.291667, b: 0.8/4 + 0.2/7 = 0.228571, c: 0.8/5 + 0.2/6 = 0.193333,
        // d: 0.8/6 + 0.2/5 = 0.173333, e: 0.8/7 + 0.2/4 = 0.164286, f: 0.2/3 = 0.066667
        assertEquals(List.of("a", "b", "c", "d", "e", "f"), ids(response));
        double[] expected = { 0.291667, 0.228571, 0.193333, 0.173333, 0.164286, 0.066667 };
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], response.getHits().getAt(i).getScore(), 1e-5);
        }
        assertEquals(Map.of("name", "1", "rank", 6, "score", 1f / 26, "normalized", 0.125f), leg(response.getHits().getAt(0), 1));
    }

    public void testTotalsMatchThePagesOnOneShard() {
        products(1);
        aggregationsAndPagesAgree();
    }

    public void testTotalsMatchThePagesOnThreeShards() {
        products(3);
        aggregationsAndPagesAgree();
    }

    private void aggregationsAndPagesAgree() {
        String query = hybrid(", \"pagination_depth\": 4", PRICE).replaceFirst("\\{", "{\"size\": 2, \"from\": 2, "
            + "\"aggs\": {\"colors\": {\"terms\": {\"field\": \"color\"}}}, ");
        SearchResponse response = ask("products", query);
        assertEquals(4, response.getHits().getTotalHits().value());
        assertEquals(List.of("c", "d"), ids(response));
        Terms colors = response.getAggregations().get("colors");
        assertEquals(2, colors.getBucketByKey("red").getDocCount());
        assertEquals(2, colors.getBucketByKey("blue").getDocCount());
        assertNull(colors.getBucketByKey("green"));
    }

    public void testTheCallersQueriesStayAsTheyAreOnOneShard() {
        staysAsItIs(1);
    }

    public void testTheCallersQueriesStayAsTheyAreOnThreeShards() {
        staysAsItIs(3);
    }

    private void staysAsItIs(int shards) {
        products(shards);
        String bool = "{\"bool\": {\"must\": [{\"match\": {\"title\": \"table\"}}], \"_name\": \"lexical\"}}";
        QueryBuilder query = asked("products", hybrid(", \"filter\": {\"term\": {\"color\": \"green\"}}", bool, NEAR)).source().query();
        String before = query.toString();
        for (int i = 0; i < 2; i++) {
            SearchResponse response = asker().search(new SearchRequest("products").source(new SearchSourceBuilder().query(query))).actionGet();
            assertEquals(List.of("e", "f"), ids(response).stream().sorted().toList());
            assertEquals("lexical", leg(response.getHits().getAt(0), 0).get("name"));
            assertEquals(before, query.toString());
        }
    }

    public void testNestedInBoolAndFilteredOnOneShard() {
        products(1);
        nestedInBoolAndFiltered();
    }

    public void testNestedInBoolAndFilteredOnThreeShards() {
        products(3);
        nestedInBoolAndFiltered();
    }

    private void nestedInBoolAndFiltered() {
        String hybrid = "{\"hybrid\": {\"queries\": [" + PRICE + "," + NEAR + "], \"filter\": {\"term\": {\"color\": \"blue\"}}}}";
        SearchResponse response = ask(
            "products",
            "{\"query\": {\"bool\": {\"must\": [" + hybrid + "], \"filter\": [{\"match\": {\"title\": \"table\"}}]}}}"
        );
        // The filter is inside the k-NN query: d and c are found although e and f are nearer.
        assertEquals(List.of("d"), ids(response));
        assertEquals(2, response.getHits().getAt(0).field("_legs").getValues().size());
        assertEquals(1, leg(response.getHits().getAt(0), 1).get("rank"));
    }

    public void testExplainHasALineForEachLeg() {
        products(3);
        String query = hybrid("", PRICE, NEAR).replaceFirst("\\{", "{\"explain\": true, ");
        SearchHit first = ask("products", query).getHits().getAt(0);
        String explanation = first.getExplanation().toString();
        assertTrue(explanation, explanation.contains("leg [price], weight 1.0"));
        assertTrue(explanation, explanation.contains("leg [near], weight 1.0"));
        assertEquals(first.getScore(), first.getExplanation().getValue().floatValue(), 1e-6f);
    }

    public void testWindowBoundsPages() {
        products(1);
        String query = hybrid(", \"pagination_depth\": 5", PRICE).replaceFirst("\\{", "{\"from\": 3, \"size\": 3, ");
        String message = failure("products", query);
        assertTrue(message, message.contains("[hybrid] expected from + size to be within its window of 5, got 3 + 3"));
    }

    public void testEqualScoresKeepOneOrder() {
        createProducts("ties", 3, 2);
        for (int i = 0; i < 30; i++) {
            client().prepareIndex("ties").setId("t" + i).setSource("{\"title\": \"chair\", \"v\": [1, 0]}", XContentType.JSON).get();
        }
        refresh("ties");
        String all = "{\"constant_score\": {\"filter\": {\"match_all\": {}}}}";
        String knn = "{\"knn\": {\"v\": {\"vector\": [0, 0], \"k\": 30}}}";
        String query = hybrid(", \"pagination_depth\": 20", all, knn).replaceFirst("\\{", "{\"size\": 20, ");
        SearchResponse first = ask("ties", query);
        assertEquals(20, first.getHits().getTotalHits().value());
        // All scores of a leg are equal, so each becomes 1.
        assertEquals(1f, first.getHits().getMaxScore(), 0f);
        assertEquals(1f, first.getHits().getAt(19).getScore(), 0f);
        assertEquals(20, ids(first).stream().distinct().count());
        assertEquals(ids(first), ids(ask("ties", query)));
    }

    public void testNestedChildrenNeverCountAsHits() {
        for (int count : new int[] { 1, 3 }) {
            String name = "nested" + count;
            Settings settings = Settings.builder()
                .put("index.number_of_shards", count)
                .put("index.number_of_replicas", 0)
                .put("index.knn", true)
                .build();
            String mapping = """
                {"properties": {
                   "title": {"type": "text"},
                   "images": {"type": "nested", "properties": {
                     "v": {"type": "knn_vector", "dimension": 2, "space_type": "l2", "method": {"name": "hnsw", "engine": "lucene"}}}}}}
                """;
            assertAcked(client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(mapping));
            for (int i = 1; i <= 4; i++) {
                String body = "{\"title\": \"chair\", \"images\": [{\"v\": [%s, 0]}, {\"v\": [%s, 9]}]}".formatted(i, i);
                client().prepareIndex(name).setId("n" + i).setSource(body, XContentType.JSON).get();
            }
            refresh(name);
            String images = """
                {"nested": {"path": "images", "inner_hits": {},
                  "query": {"knn": {"images.v": {"vector": [0, 0], "k": 4}}}}}""";
            SearchResponse response = ask(name, hybrid("", "{\"match_all\": {}}", images));
            assertEquals(4, response.getHits().getTotalHits().value());
            SearchHit best = response.getHits().getAt(0);
            assertEquals("n1", best.getId());
            assertEquals(2, best.field("_legs").getValues().size());
            SearchHits inner = best.getInnerHits().get("images");
            assertEquals(0, inner.getAt(0).getNestedIdentity().getOffset());
            assertNull(inner.getAt(0).field("_legs"));
            String inside = "{\"query\": {\"nested\": {\"path\": \"images\", \"query\": {\"hybrid\": {\"queries\": [{\"match_all\": {}}]}}}}}";
            String message = failure(name, inside);
            assertTrue(message, message.contains("is not allowed inside [nested]"));
        }
    }

    public void testAnUpdateDoesNotHideADocument() {
        products(3);
        List<String> before = ids(ask("products", hybrid("", PRICE)));
        index("c", "chair", "blue", 3f, 3);
        refresh("products");
        assertEquals(before, ids(ask("products", hybrid("", PRICE))));
    }
}
