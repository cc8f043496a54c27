package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.mmsearch.MmsearchIT;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.test.InternalTestCluster.RestartCallback;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.transport.client.Client;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests hybrids during a rolling restart of two nodes with three shards and a replica each. */
@ClusterScope(scope = Scope.TEST, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class RollingRestartIT extends MmsearchIT {

    private static final int PRODUCTS = 24;
    /** All scores of a leg differ: titles in length, vectors in distance, computed exactly by k-NN's script. */
    private static final String HYBRID = """
        {"hybrid": {"pagination_depth": 20, "queries": [
          {"match": {"title": {"query": "chair", "_name": "lexical"}}},
          {"script_score": {"query": {"match_all": {}}, "_name": "dense", "script": {"source": "knn_score", "lang": "knn",
            "params": {"field": "v", "query_value": [0.3, 0], "space_type": "l2"}}}}]}}""";

    /** Clients by node. Collected before a restart, because a restart locks the test cluster. */
    private final Map<String, Client> clients = new ConcurrentHashMap<>();
    /** The node that takes no requests, or null. */
    private volatile String down;
    private volatile boolean done;
    private final AtomicInteger asked = new AtomicInteger();
    private final AtomicInteger retried = new AtomicInteger();
    private final List<String> wrong = new CopyOnWriteArrayList<>();

    private void fill(String index, Settings.Builder settings) {
        settings.put("index.number_of_shards", 3).put("index.knn", true);
        String mapping = """
            {"properties": {"title": {"type": "text"}, "v": {"type": "knn_vector", "dimension": 2, "space_type": "l2",
              "method": {"name": "hnsw", "engine": "lucene"}}}}""";
        assertAcked(client().admin().indices().prepareCreate(index).setSettings(settings).setMapping(mapping));
        ensureGreen(index);
        for (int i = 0; i < PRODUCTS; i++) {
            String body = "{\"title\": \"chair%s\", \"v\": [%s, 0]}".formatted(" oak".repeat(i), (i * 7) % PRODUCTS);
            client().prepareIndex(index).setId("p" + i).setSource(body, XContentType.JSON).get();
        }
        refresh(index);
    }

    private static List<String> hits(Client client, String index) {
        SearchRequest request = new SearchRequest(index).source(new SearchSourceBuilder().size(20).query(new WrapperQueryBuilder(HYBRID)))
            .preference("a shopper")
            .allowPartialSearchResults(false);
        SearchResponse response = client.search(request).actionGet(TimeValue.timeValueSeconds(5));
        if (response.getFailedShards() > 0 || response.isTimedOut()) {
            throw new IllegalStateException("expected an answer of all shards, got " + response);
        }
        return Arrays.stream(response.getHits().getHits())
            .map(hit -> hit.getId() + " " + hit.getScore() + " " + hit.field("_legs").getValues())
            .toList();
    }

    /** Searches in a loop on alternating nodes and retries once, as clients of a cluster do. */
    private void shop(String[] nodes, List<String> expected) {
        for (int turn = 0; done == false; turn++) {
            List<String> got;
            try {
                got = attempt(nodes[turn % 2], nodes[(turn + 1) % 2]);
            } catch (Exception | AssertionError first) {
                retried.incrementAndGet();
                try {
                    got = attempt(nodes[(turn + 1) % 2], nodes[turn % 2]);
                } catch (Exception | AssertionError second) {
                    wrong.add(ExceptionsHelper.stackTrace(first) + "and then " + ExceptionsHelper.stackTrace(second));
                    continue;
                }
            }
            if (got.equals(expected) == false) {
                wrong.add("expected " + expected + ", got " + got);
            }
            asked.incrementAndGet();
        }
    }

    /** Searches on the node, or on the other one during its restart. */
    private List<String> attempt(String node, String other) {
        return hits(clients.get(node.equals(down) ? other : node), "both");
    }

    private void awaitMore(int answers) throws Exception {
        int enough = asked.get() + answers;
        assertBusy(() -> assertTrue(wrong.toString(), asked.get() >= enough || wrong.isEmpty() == false), 30, TimeUnit.SECONDS);
    }

    public void testNoSearchFailsAndAllAnswersAreThoseOfOneNode() throws Exception {
        String[] nodes = internalCluster().getNodeNames();
        assertEquals(2, nodes.length);
        fill("one", Settings.builder().put("index.number_of_replicas", 0).put("index.routing.allocation.include._name", nodes[0]));
        List<String> expected = hits(internalCluster().client(nodes[0]), "one");
        assertEquals(20, expected.size());
        assertAcked(client().admin().indices().prepareDelete("one"));
        fill("both", Settings.builder().put("index.number_of_replicas", 1));
        for (String node : nodes) {
            clients.put(node, internalCluster().client(node));
        }
        List<Thread> shoppers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            shoppers.add(new Thread(() -> shop(nodes, expected), "shopper-" + i));
        }
        shoppers.forEach(Thread::start);
        try {
            awaitMore(20);
            for (String node : nodes) {
                down = node;
                internalCluster().restartNode(node, new RestartCallback() {
                    @Override
                    public Settings onNodeStopped(String name) throws Exception {
                        awaitMore(20);
                        return super.onNodeStopped(name);
                    }
                });
                clients.put(node, internalCluster().client(node));
                down = null;
                ensureGreen(TimeValue.timeValueSeconds(60), "both");
                awaitMore(20);
            }
        } finally {
            done = true;
            for (Thread shopper : shoppers) {
                shopper.join();
            }
        }
        assertEquals(wrong.toString(), 0, wrong.size());
        logger.info("{} searches were answered, {} of them at the second attempt", asked.get(), retried.get());
    }
}
