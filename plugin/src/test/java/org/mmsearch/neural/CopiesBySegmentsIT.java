package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.test.transport.MockTransportService;
import org.opensearch.transport.NodeNotConnectedException;
import org.opensearch.transport.TransportService;

/** Tests that copies with segment replication return the same hits as with document replication, and earlier hits while they lag. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class CopiesBySegmentsIT extends NeuralIT {

    private static final int PRODUCTS = 24;
    private static final String[] PREFERENCES = { null, "_primary", "_replica" };

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(MockTransportService.TestPlugin.class);
        return plugins;
    }

    /** Settings of the reference index. */
    protected Settings reference() {
        return Settings.builder().put("index.replication.type", "DOCUMENT").put("index.number_of_replicas", 1).build();
    }

    /** Settings of the tested index. */
    protected Settings bySegments() {
        return Settings.builder().put("index.replication.type", "SEGMENT").put("index.number_of_replicas", 1).build();
    }

    private static Map<String, String> bodies() {
        String dense = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 10}}}";
        String other = "{\"neural\": {\"v\": {\"query_text\": \"xxxxxxx\", \"k\": 10, \"filter\": {\"term\": {\"color\": \"red\"}}}}}";
        String cut = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 10, \"cutoff\": {\"relative_max\": 0.995}}}}";
        String like = "{\"neural\": {\"v\": {\"like\": {\"_id\": \"p5\"}, \"k\": 10}}}";
        String hybrid = "{\"hybrid\": {\"queries\": [" + dense + ", " + other + "]}}";
        Map<String, String> bodies = new LinkedHashMap<>();
        bodies.put("neural", "\"query\": " + dense);
        bodies.put("cutoff", "\"query\": " + cut);
        bodies.put("like", "\"query\": " + like);
        bodies.put("hybrid", "\"query\": " + hybrid);
        bodies.put("like in a hybrid", "\"query\": {\"hybrid\": {\"queries\": [" + like + ", " + cut + "]}}");
        bodies.put("sorted", "\"sort\": [{\"color\": \"asc\"}, \"_score\"], \"query\": " + hybrid);
        bodies.put("facets", "\"aggs\": {\"colors\": {\"terms\": {\"field\": \"color\"}}}, \"query\": " + hybrid);
        bodies.put("collapsed", "\"query\": " + hybrid + ", \"collapse\": {\"field\": \"color\"}");
        bodies.put("groups", "\"query\": " + hybrid + ", \"collapse\": {\"field\": \"color\", \"inner_hits\": {\"name\": \"same\"}}");
        bodies.put("two", "\"query\": {\"bool\": {\"should\": [" + hybrid + ", " + dense + "]}}");
        bodies.replaceAll((name, body) -> "{" + body + "}");
        return bodies;
    }

    private static Map<String, Object> answer(String index, String body, String preference) {
        SearchRequest request = asked(index, body).preference(preference);
        SearchResponse response = asker().search(request).actionGet();
        assertEquals(response.toString(), 0, response.getFailedShards());
        assertEquals(response.toString(), response.getTotalShards(), response.getSuccessfulShards());
        String json = response.toString().replace("\"" + index + "\"", "\"products\"");
        Map<String, Object> answer = new TreeMap<>(XContentHelper.convertToMap(XContentType.JSON.xContent(), json, false));
        List.of("took", "_shards", "num_reduce_phases").forEach(answer::remove);
        return answer;
    }

    private void create(String name, Settings settings) throws Exception {
        createEncoded(name, 3, "f1", "", settings);
        indexProducts(name, PRODUCTS);
        awaitAllCopies(name, PRODUCTS);
    }

    public void testEveryCopy() throws Exception {
        create("right", reference());
        create("segments", bySegments());
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (Map.Entry<String, String> body : bodies().entrySet()) {
                    Object expected = answer("right", body.getValue(), null);
                    for (String preference : PREFERENCES) {
                        assertEquals(
                            body.getKey() + " by " + way + " of " + preference,
                            expected,
                            answer("segments", body.getValue(), preference)
                        );
                    }
                }
            });
        }
        assertNothingOpen();
    }

    /** Blocks the replication of new segments. */
    private static void lag() {
        for (String node : internalCluster().getNodeNames()) {
            MockTransportService sends = (MockTransportService) internalCluster().getInstance(TransportService.class, node);
            sends.addSendBehavior((connection, id, action, request, options) -> {
                if (action.startsWith("indices:admin/publishCheckpoint[r]")) {
                    throw new NodeNotConnectedException(connection.getNode(), "the copy lags");
                }
                connection.sendRequest(id, action, request, options);
            });
        }
    }

    private static void catchUp() {
        for (String node : internalCluster().getNodeNames()) {
            ((MockTransportService) internalCluster().getInstance(TransportService.class, node)).clearAllRules();
        }
    }

    private void indexMore(String name) {
        for (int i = PRODUCTS; i < 2 * PRODUCTS; i++) {
            String v = Arrays.toString(StubTriton.vectorOf("x".repeat(i % PRODUCTS)));
            client().prepareIndex(name)
                .setId("p" + i)
                .setSource("{\"title\": \"chair\", \"color\": \"green\", \"v\": " + v + "}", XContentType.JSON)
                .get();
        }
        client().admin().indices().prepareRefresh(name).get();
    }

    public void testCopiesThatLag() throws Exception {
        create("segments", bySegments());
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                Map<String, Object> before = new TreeMap<>();
                bodies().forEach((name, body) -> before.put(name, answer("segments", body, null)));
                lag();
                try {
                    indexMore("segments");
                    for (Map.Entry<String, String> body : bodies().entrySet()) {
                        String what = body.getKey() + " by " + way;
                        Object old = answer("segments", body.getValue(), "_replica");
                        Object current = answer("segments", body.getValue(), "_primary");
                        assertEquals(what, before.get(body.getKey()), old);
                        assertNotEquals(what, old, current);
                        for (int i = 0; i < 4; i++) {
                            // One copy per shard: no product twice, and none that the copy does not have.
                            answer("segments", body.getValue(), null);
                        }
                    }
                } finally {
                    catchUp();
                }
                for (int i = PRODUCTS; i < 2 * PRODUCTS; i++) {
                    client().prepareDelete("segments", "p" + i).get();
                }
                client().admin().indices().prepareRefresh("segments").get();
                awaitAllCopies("segments", PRODUCTS);
            });
        }
        assertNothingOpen();
    }

    /** Tests that a refreshed document is found, regardless of lagging copies and of where its vector is stored. */
    public void testLikeADocumentThatNotEveryCopyHas() throws Exception {
        createEncoded("segments", 3, "f1", "", bySegments());
        createEncoded("sourceless", 3, "f1", "\"_source\": {\"excludes\": [\"v\"]},", bySegments());
        for (String index : List.of("segments", "sourceless")) {
            indexProducts(index, PRODUCTS);
            awaitAllCopies(index, PRODUCTS);
        }
        lag();
        try {
            for (String index : List.of("segments", "sourceless")) {
                indexMore(index);
                for (int i = PRODUCTS; i < PRODUCTS + 8; i++) {
                    String like = "{\"query\": {\"neural\": {\"v\": {\"like\": {\"_id\": \"p" + i + "\"}, \"k\": 5}}}}";
                    for (String preference : PREFERENCES) {
                        SearchResponse response = asker().search(asked(index, like).preference(preference)).actionGet();
                        // The product with the same vector, which all copies have.
                        assertEquals(index + " " + preference + " p" + i, "p" + i % PRODUCTS, response.getHits().getAt(0).getId());
                    }
                }
            }
        } finally {
            catchUp();
        }
    }
}
