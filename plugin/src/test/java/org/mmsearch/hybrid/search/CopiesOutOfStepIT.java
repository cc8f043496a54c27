package org.mmsearch.hybrid.search;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.IndexService;
import org.opensearch.index.shard.IndexShard;
import org.opensearch.indices.IndicesService;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests shard copies that refreshed at different times, and products that are updated during searches. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 3, numClientNodes = 0, supportsDedicatedMasters = false)
public class CopiesOutOfStepIT extends MmsearchIT {

    private static final int PRODUCTS = 50;
    private static final String MATCH = "{\"size\": 50, \"query\": {\"match\": {\"title\": \"chair\"}}}";
    private static final String HYBRID = "{\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}, {\"exists\": {\"field\": \"stock\"}}]}}";
    private static final Map<String, String> BODIES = Map.of(
        "alone", "{\"size\": 50, \"query\": " + HYBRID + "}",
        "with facets", "{\"size\": 50, \"query\": " + HYBRID + ", \"aggs\": {\"titles\": {\"value_count\": {\"field\": \"stock\"}}}}",
        "sorted", "{\"size\": 50, \"query\": " + HYBRID + ", \"sort\": [{\"stock\": \"asc\"}]}",
        "in a bool", "{\"size\": 50, \"query\": {\"bool\": {\"must\": " + HYBRID + "}}}",
        "two", "{\"size\": 50, \"query\": {\"bool\": {\"must\": [" + HYBRID + ", " + HYBRID + "]}}}",
        "collapsed, with inner hits",
        "{\"size\": 50, \"query\": " + HYBRID + ", \"collapse\": {\"field\": \"id\", \"inner_hits\": {\"name\": \"same\"}}}"
    );

    /** The tested kinds of replication. */
    protected List<String> replications(int replicas) {
        return replicas == 1 ? List.of("DOCUMENT", "SEGMENT") : List.of("DOCUMENT");
    }

    private void create(String name, Settings.Builder settings) {
        settings.put("index.number_of_shards", 2);
        assertAcked(
            client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(
                "{\"properties\": {\"title\": {\"type\": \"text\"}, \"stock\": {\"type\": \"integer\"}, \"id\": {\"type\": \"integer\"}}}"
            )
        );
        ensureGreen(name);
        for (int i = 0; i < PRODUCTS; i++) {
            put(name, i, 0);
        }
        refresh(name);
    }

    private static void put(String name, int i, int stock) {
        client().prepareIndex(name)
            .setId("d" + i)
            .setSource("{\"title\": \"chair\", \"stock\": " + stock + ", \"id\": " + i + "}", XContentType.JSON)
            .get();
    }

    /** Refreshes the copies of one node. */
    private static void refreshOneNode() {
        for (IndexService service : internalCluster().getInstance(IndicesService.class, internalCluster().getNodeNames()[0])) {
            for (IndexShard shard : service) {
                shard.refresh("test");
            }
        }
    }

    private static void assertWhole(String what, SearchResponse response) {
        assertEquals(what, 0, response.getFailedShards());
        assertEquals(what + ": " + response, PRODUCTS, response.getHits().getTotalHits().value());
        assertEquals(what, PRODUCTS, response.getHits().getHits().length);
        response.getHits().forEach(hit -> {
            if (hit.getInnerHits() != null) {
                assertEquals(what + ", inner hits of " + hit.getId(), 1, hit.getInnerHits().get("same").getHits().length);
            }
        });
    }

    /** All products are updated, and only one copy of each shard has refreshed. */
    public void testACopyThatLags() throws Exception {
        create("lag", Settings.builder().put("index.number_of_replicas", 1).put("index.refresh_interval", "-1"));
        for (int i = 0; i < PRODUCTS; i++) {
            put("lag", i, 1);
        }
        refreshOneNode();
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (Map.Entry<String, String> body : BODIES.entrySet()) {
                    for (int i = 0; i < 8; i++) {
                        assertWhole(body.getKey() + " by " + way, ask("lag", body.getValue()));
                    }
                }
            });
        }
        assertNothingOpen();
    }

    public void testUpdatesWhileSearching() throws Exception {
        for (int replicas = 0; replicas <= 2; replicas++) {
            for (String replication : replications(replicas)) {
                String index = "live" + replicas + replication.toLowerCase(java.util.Locale.ROOT);
                create(
                    index,
                    Settings.builder()
                        .put("index.number_of_replicas", replicas)
                        .put("index.refresh_interval", replicas == 2 ? "1s" : "100ms")
                        .put("index.replication.type", replication)
                );
                awaitAllCopies(index, PRODUCTS);
                whileUpdated(index);
            }
        }
        assertNothingOpen();
    }

    private void whileUpdated(String index) throws Exception {
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong updates = new AtomicLong();
        Thread writer = new Thread(() -> {
            for (int n = 1; stop.get() == false; n++) {
                put(index, n % PRODUCTS, n);
                updates.incrementAndGet();
            }
        });
        writer.start();
        try {
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    int searches = Integer.getInteger("tests.hybrids", 150) / 50;
                    for (int i = 0; i < searches; i++) {
                        assertWhole("match", ask(index, MATCH));
                        for (Map.Entry<String, String> body : BODIES.entrySet()) {
                            assertWhole(index + ", " + body.getKey() + " by " + way, ask(index, body.getValue()));
                        }
                    }
                });
            }
        } finally {
            stop.set(true);
            writer.join();
        }
        assertTrue(updates + " updates", updates.get() > 20);
    }
}
