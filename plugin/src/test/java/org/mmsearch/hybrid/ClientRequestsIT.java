package org.mmsearch.hybrid;

import java.io.IOException;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.mmsearch.RestIT;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests requests of third-party clients with a hybrid, on one shard and on three.
 *
 * <p>Products p1 to p160 cost 1 to 160, so p160 is first by price; even ones are red.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class ClientRequestsIT extends RestIT {

    private static final int[] SHARDS = { 1, 3 };
    private static final int PRODUCTS = 160;
    private static final String PRICE = """
        {"function_score": {"query": {"match": {"title": "chair"}}, "boost_mode": "replace",
          "field_value_factor": {"field": "price"}}}""";

    /** A script that derives a product's price in cents. */
    public static final class Cents extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("cents", vars -> {
                Number price = (Number) ((Map<?, ?>) vars.get("_source")).get("price");
                return new ArrayList<>(List.of(100 * price.longValue()));
            });
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Cents.class);
        return plugins;
    }

    private static String hybrid(String... legs) {
        return "{\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]}}";
    }

    private String products(int shards, int count) throws IOException {
        String index = "products" + shards;
        send("PUT", "/" + index, """
            {"settings": {"index.knn": true, "number_of_shards": %s, "number_of_replicas": 0}, "mappings": {"properties": {
               "title": {"type": "text"}, "color": {"type": "keyword"}, "price": {"type": "float"},
               "parts": {"type": "nested", "properties": {"name": {"type": "text"}}}}}}""".formatted(shards));
        ensureGreen(index);
        StringBuilder lines = new StringBuilder();
        for (int i = 1; i <= count; i++) {
            lines.append("{\"index\": {\"_id\": \"p").append(i).append("\"}}\n");
            lines.append("{\"title\": \"chair\", \"price\": ").append(i).append(", \"color\": \"").append(i % 2 == 0 ? "red" : "blue");
            lines.append("\", \"parts\": [{\"name\": \"leg\"}]}\n");
        }
        send("POST", "/" + index + "/_bulk?refresh=true", lines.toString());
        return index;
    }

    public void testTheWindowFollowsThePage() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards, PRODUCTS) + "/_search";
            for (String around : List.of("", ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}")) {
                List<String> all = found(search, "{\"size\": 150, \"query\": " + hybrid(PRICE) + around + "}");
                assertEquals(150, all.size());
                assertEquals("p160", all.get(0));
                assertEquals("p11", all.get(149));
                assertEquals(List.of("p30", "p29"), found(search, "{\"from\": 130, \"size\": 2, \"query\": " + hybrid(PRICE) + around + "}"));
            }
            // A page within the default window does not change it: 100 of the 160 are counted.
            assertEquals(100, total(answer("POST", search, "{\"size\": 10, \"query\": " + hybrid(PRICE) + "}")));
            // An explicit depth is kept.
            String deep = hybrid(PRICE).replace("]}}", "], \"pagination_depth\": 100}}");
            String refused = refused(400, "POST", search, "{\"size\": 150, \"query\": " + deep + "}");
            assertTrue(refused, refused.contains("raise [pagination_depth]"));
        }
    }

    public void testTheWindowEndsAtTheIndexsLargestResultWindow() throws IOException {
        for (int shards : SHARDS) {
            String index = products(shards, PRODUCTS);
            send("PUT", "/" + index + "/_settings", "{\"index.max_result_window\": 120}");
            assertEquals(120, found("/" + index + "/_search", "{\"size\": 120, \"query\": " + hybrid(PRICE) + "}").size());
            String refused = refused(400, "POST", "/" + index + "/_search", "{\"from\": 1, \"size\": 120, \"query\": " + hybrid(PRICE) + "}");
            assertTrue(refused, refused.contains("[index.max_result_window] of 120"));
        }
    }

    public void testDerivedFieldsOfTheRequestReachTheLegs() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards, 4) + "/_search";
            String leg = "{\"range\": {\"cents\": {\"gte\": 300}}}";
            String derived = "\"derived\": {\"cents\": {\"type\": \"long\", \"script\": {\"source\": \"cents\", \"lang\": \"mockscript\"}}}";
            for (String around : List.of("", ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}")) {
                List<String> found = found(search, "{" + derived + ", \"query\": " + hybrid(leg, leg) + around + "}");
                assertEquals(List.of("p3", "p4"), found.stream().sorted().toList());
            }
        }
    }

    public void testInsideNestedIsRefusedAlike() throws IOException {
        for (int shards : SHARDS) {
            String leg = "{\"match\": {\"parts.name\": \"leg\"}}";
            String nested = "{\"query\": {\"nested\": {\"path\": \"parts\", \"query\": " + hybrid(leg) + "}}}";
            String refused = refused(400, "POST", "/" + products(shards, 4) + "/_search", nested);
            assertTrue(refused, refused.contains("is not allowed inside [nested]"));
            String deep = "{\"query\": {\"bool\": {\"must\": [{\"nested\": {\"path\": \"parts\", \"query\": {\"bool\": {\"should\": ["
                + hybrid(leg) + "]}}}}]}}}";
            refused = refused(400, "POST", "/products" + shards + "/_search", deep);
            assertTrue(refused, refused.contains("is not allowed inside [nested]"));
        }
    }

    public void testDateMathWithATimeZone() throws IOException {
        for (int shards : SHARDS) {
            String index = products(shards, 4);
            String alias = "year" + shards + "-" + ZonedDateTime.now(ZoneOffset.ofHours(12)).getYear();
            send("POST", "/_aliases", "{\"actions\": [{\"add\": {\"index\": \"" + index + "\", \"alias\": \"" + alias + "\"}}]}");
            SearchRequest request = asked("<year" + shards + "-{now/y{yyyy|+12:00}}>", "{\"query\": " + hybrid(PRICE) + "}");
            assertEquals(4, asker().search(request).actionGet().getHits().getHits().length);
        }
    }

    public void testReindexGetsTheReasonAndTheAlternative() throws IOException {
        for (int shards : SHARDS) {
            String index = products(shards, 4);
            String body = "{\"source\": {\"index\": \"" + index + "\", \"query\": " + hybrid(PRICE) + "}, \"dest\": {\"index\": \"copy\"}}";
            String refused = refused(400, "POST", "/_reindex", body);
            assertTrue(refused, refused.contains("_reindex"));
        }
    }

    /** A search template sends only a body, so its pipeline is not yet in the request. */
    public void testAPipelineInTheBody() throws IOException {
        send("PUT", "/_search/pipeline/ranked", """
            {"phase_results_processors": [{"score-ranker-processor": {"combination": {"technique": "rrf", "rank_constant": 4}}}]}""");
        for (int shards : SHARDS) {
            SearchRequest request = asked(products(shards, 4), "{\"search_pipeline\": \"ranked\", \"query\": " + hybrid(PRICE) + "}");
            assertNull(request.pipeline());
            // 1 / (4 + 1) by rank; min_max would give 1.
            assertEquals(0.2f, asker().search(request).actionGet().getHits().getMaxScore(), 1e-6f);
        }
    }

    public void testTrackTotalHits() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards, 30) + "/_search";
            String few = hybrid(PRICE).replace("]}}", "], \"pagination_depth\": 20}}");
            String all = hybrid(PRICE).replace("]}}", "], \"pagination_depth\": 20, \"totals\": \"all\"}}");
            for (String around : List.of("", ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}")) {
                assertEquals(Map.of("value", 20, "relation", "eq"), totals(search, "{\"query\": " + few + around + "}"));
                assertEquals(Map.of("value", 30, "relation", "eq"), totals(search, "{\"query\": " + all + around + "}"));
                assertEquals(
                    Map.of("value", 5, "relation", "gte"),
                    totals(search, "{\"track_total_hits\": 5, \"query\": " + few + around + "}")
                );
                assertEquals(
                    Map.of("value", 20, "relation", "eq"),
                    totals(search, "{\"track_total_hits\": true, \"query\": " + few + around + "}")
                );
                assertNull(totals(search, "{\"track_total_hits\": false, \"query\": " + few + around + "}"));
            }
        }
    }

    public void testABoostThatOverflowsScores() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards, 8) + "/_search";
            // 4 * 1e38 exceeds a float.
            String should = Stream.of("title", "price", "color", "_id")
                .map("{\"constant_score\": {\"boost\": 1e38, \"filter\": {\"exists\": {\"field\": \"%s\"}}}}"::formatted)
                .collect(Collectors.joining(","));
            String leg = "{\"bool\": {\"should\": [" + should + "]}}";
            for (String around : List.of("", ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}")) {
                String refused = refused(400, "POST", search, "{\"query\": " + hybrid(leg, PRICE) + around + "}");
                assertTrue(refused, refused.contains("expected finite scores of leg [0]"));
            }
        }
    }

    private static Object totals(String path, String body) throws IOException {
        return ((Map<?, ?>) answer("POST", path, body).get("hits")).get("total");
    }

    private static int total(Map<String, Object> answer) {
        return (int) ((Map<?, ?>) ((Map<?, ?>) answer.get("hits")).get("total")).get("value");
    }
}
