package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;

import org.mmsearch.MmsearchIT;
import org.mmsearch.hybrid.FaultyQueries;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.NoShardAvailableActionException;
import org.opensearch.action.admin.cluster.health.ClusterHealthResponse;
import org.opensearch.action.bulk.BulkRequestBuilder;
import org.opensearch.action.search.CreatePitAction;
import org.opensearch.action.search.CreatePitRequest;
import org.opensearch.action.search.DeletePitAction;
import org.opensearch.action.search.DeletePitRequest;
import org.opensearch.action.search.MultiSearchRequest;
import org.opensearch.action.search.MultiSearchResponse;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchTransportService;
import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.action.support.ActiveShardCount;
import org.opensearch.action.support.WriteRequest;
import org.opensearch.cluster.routing.ShardRouting;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchService;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.search.internal.ShardSearchRequest;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.test.transport.MockTransportService;
import org.opensearch.transport.NodeNotConnectedException;
import org.opensearch.transport.TransportService;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/**
 * Tests failing shards in a search with hybrids, in every way: {@code _shards} must equal that of a {@code bool} with the same queries, on
 * the coordinating node and on another one.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class PartialFailuresIT extends MmsearchIT {

    private static final String CHAIRS = "{\"match\": {\"title\": \"chair\"}}";
    private static final String LATE_0 = "{\"faulty\": {\"search\": [0]}}";
    private static final String LATE_1 = "{\"faulty\": {\"search\": [1]}}";
    private static final String EARLY_1 = "{\"faulty\": {\"query\": [1]}}";
    private static final String TWO = "{\"faulty\": {\"search\": [0, 2]}}";

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(FaultyQueries.class);
        plugins.add(MockTransportService.TestPlugin.class);
        return plugins;
    }

    /** Combines several queries: as the legs of a hybrid, or in a {@code bool}. */
    private interface Clause {
        String of(String... queries);
    }

    private static String hybrid(String... legs) {
        return "{\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]}}";
    }

    private static String bool(String... legs) {
        return "{\"bool\": {\"should\": [" + String.join(",", legs) + "]}}";
    }

    /** Bodies with failing shards, by a name. */
    private static Map<String, String> bodies(Clause clause) {
        Map<String, String> bodies = new LinkedHashMap<>();
        bodies.put("run", "\"query\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("made", "\"query\": " + clause.of(EARLY_1, CHAIRS));
        bodies.put("two shards", "\"query\": " + clause.of(CHAIRS, TWO));
        bodies.put("both legs", "\"query\": " + clause.of(LATE_1, EARLY_1));
        bodies.put("a shard each", "\"query\": " + clause.of(LATE_0, EARLY_1));
        bodies.put("facets", "\"aggs\": {\"prices\": {\"avg\": {\"field\": \"price\"}}}, \"query\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("no hits", "\"size\": 0, \"query\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("sorted", "\"sort\": [{\"price\": \"asc\"}], \"query\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("post filter", "\"query\": " + CHAIRS + ", \"post_filter\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("in a bool", "\"query\": {\"bool\": {\"must\": " + clause.of(CHAIRS, LATE_1) + "}}");
        bodies.put("outside", "\"query\": {\"bool\": {\"must\": " + clause.of(CHAIRS) + ", \"should\": " + LATE_1 + "}}");
        bodies.put("both", "\"query\": {\"bool\": {\"must\": " + clause.of(CHAIRS, LATE_0) + ", \"should\": " + EARLY_1 + "}}");
        bodies.put("two hybrids", "\"query\": {\"bool\": {\"must\": [" + clause.of(CHAIRS, LATE_1) + "," + clause.of(CHAIRS) + "]}}");
        bodies.put("second", "\"query\": {\"bool\": {\"should\": [" + clause.of(CHAIRS) + "," + clause.of(CHAIRS, LATE_1) + "]}}");
        bodies.put("the same", "\"query\": {\"bool\": {\"must\": [" + clause.of(EARLY_1) + "," + clause.of(CHAIRS, EARLY_1) + "]}}");
        bodies.put("three", "\"query\": {\"bool\": {\"should\": [" + clause.of(CHAIRS) + "," + clause.of(LATE_1) + "," + clause.of(LATE_1) + "," + clause.of(CHAIRS) + "]}}");
        bodies.put("one each", "\"query\": {\"bool\": {\"should\": [" + clause.of(LATE_0) + "," + clause.of(CHAIRS, LATE_1) + "]}}");
        bodies.put("in another", "\"query\": " + clause.of(CHAIRS, clause.of(CHAIRS, LATE_1)));
        bodies.put(
            "a facet",
            "\"query\": " + CHAIRS + ", \"aggs\": {\"best\": {\"filter\": " + clause.of(CHAIRS, LATE_1) + "}}"
        );
        bodies.put("rescored", "\"query\": " + clause.of(CHAIRS) + ", \"rescore\": {\"query\": {\"rescore_query\": " + LATE_1 + "}}");
        bodies.put(
            "collapsed",
            "\"query\": " + clause.of(CHAIRS, LATE_1) + ", \"collapse\": {\"field\": \"color\", \"inner_hits\": {\"name\": \"more\"}}"
        );
        bodies.put("profiled", "\"profile\": true, \"query\": " + clause.of(CHAIRS, LATE_1));
        bodies.put("whole", "\"query\": " + clause.of(CHAIRS, CHAIRS));
        bodies.replaceAll((name, body) -> "{" + body + "}");
        return bodies;
    }

    /** The shard section of a response: counts, and each failure's shard and reason. */
    private static String shards(SearchResponse response) {
        TreeSet<String> failures = new TreeSet<>();
        for (ShardSearchFailure failure : response.getShardFailures()) {
            String shard = failure.shard() == null ? "?" : failure.shard().getIndex() + failure.shard().getShardId().id();
            failures.add(shard + " " + ExceptionsHelper.unwrapCause(failure.getCause()).getClass().getSimpleName() + " " + root(failure.getCause()));
        }
        assertEquals("none is counted twice", response.getFailedShards(), failures.size());
        return "total " + response.getTotalShards() + ", successful " + response.getSuccessfulShards() + ", skipped "
            + response.getSkippedShards() + ", failed " + response.getFailedShards() + ": " + failures;
    }

    private static String root(Throwable failure) {
        Throwable root = failure;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return String.valueOf(root.getMessage());
    }

    private void products(String index, int shards, Settings.Builder settings) {
        create(index, shards, settings);
        ensureGreen(index);
        assertFalse(fill(index, id -> true).get().hasFailures());
        refresh(index);
    }

    private void create(String index, int shards, Settings.Builder settings) {
        assertAcked(
            client().admin().indices().prepareCreate(index).setSettings(
                settings.put("index.number_of_shards", shards).put("index.number_of_replicas", 0)
            ).setMapping("{\"properties\": {\"title\": {\"type\": \"text\"}, \"color\": {\"type\": \"keyword\"}, \"price\": {\"type\": \"integer\"}}}")
                .setWaitForActiveShards(ActiveShardCount.NONE)
        );
    }

    private static BulkRequestBuilder fill(String index, Predicate<String> ids) {
        BulkRequestBuilder bulk = client().prepareBulk();
        for (int i = 0; i < 30; i++) {
            String body = "{\"title\": \"chair\", \"color\": \"c" + i % 3 + "\", \"price\": " + i + "}";
            if (ids.test("p" + i)) {
                bulk.add(client().prepareIndex(index).setId("p" + i).setSource(body, XContentType.JSON));
            }
        }
        return bulk;
    }

    /** An index on one of the two nodes. */
    private void productsOn(int node, String index) {
        products(index, 3, Settings.builder().put("index.routing.allocation.require._name", internalCluster().getNodeNames()[node]));
    }

    private static String outcome(CheckedAnswer answer) {
        try {
            return shards(answer.get());
        } catch (Exception e) {
            // The order of the failures is random.
            return "status " + ExceptionsHelper.status(e) + ", " + root(e).replaceAll("on [0-9]+$", "on a shard");
        }
    }

    private interface CheckedAnswer {
        SearchResponse get() throws Exception;
    }

    /**
     * Compares each body on an index, in every way, with a {@code bool}: with and without partial results, in {@code _search} and {@code
     * _msearch}.
     */
    private void assertAsInABool(String index) throws Exception {
        Map<String, String> expected = bodies(PartialFailuresIT::bool);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                MultiSearchRequest all = new MultiSearchRequest();
                List<String> wanted = new ArrayList<>();
                for (Map.Entry<String, String> body : bodies(PartialFailuresIT::hybrid).entrySet()) {
                    String what = body.getKey() + " of " + index + " by " + way;
                    SearchRequest bool = asked(index, expected.get(body.getKey()));
                    String whole = outcome(() -> asker().search(bool).actionGet());
                    assertEquals(what, whole, outcome(() -> ask(index, body.getValue())));
                    all.add(asked(index, body.getValue()));
                    wanted.add(whole);
                    assertEquals(
                        what + ", not in part",
                        outcome(() -> asker().search(asked(index, expected.get(body.getKey())).allowPartialSearchResults(false)).actionGet()),
                        outcome(() -> asker().search(asked(index, body.getValue()).allowPartialSearchResults(false)).actionGet())
                    );
                }
                MultiSearchResponse.Item[] answers = asker().multiSearch(all).actionGet().getResponses();
                for (int i = 0; i < answers.length; i++) {
                    MultiSearchResponse.Item answer = answers[i];
                    assertEquals(index + " by " + way, wanted.get(i), outcome(() -> {
                        if (answer.isFailure()) {
                            throw answer.getFailure();
                        }
                        return answer.getResponse();
                    }));
                }
            });
        }
        assertNothingOpen();
    }

    public void testOneShard() throws Exception {
        products("single", 1, Settings.builder());
        assertAsInABool("single");
    }

    public void testOnTheNodeThatTakesTheSearch() throws Exception {
        productsOn(0, "here");
        assertAsInABool("here");
    }

    public void testOnAnotherNode() throws Exception {
        productsOn(1, "there");
        assertAsInABool("there");
    }

    public void testOnBothNodesAndInTwoIndices() throws Exception {
        products("some", 3, Settings.builder());
        products("others", 2, Settings.builder());
        assertAsInABool("some,others");
        assertAsInABool("others");
    }

    public void testAsTheClusterWantsIt() throws Exception {
        products("some", 3, Settings.builder());
        String setting = SearchService.DEFAULT_ALLOW_PARTIAL_SEARCH_RESULTS.getKey();
        assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(Settings.builder().put(setting, false)));
        try {
            assertAsInABool("some");
        } finally {
            assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(Settings.builder().putNull(setting)));
        }
    }

    public void testInAPointInTime() throws Exception {
        products("some", 3, Settings.builder());
        CreatePitRequest create = new CreatePitRequest(TimeValue.timeValueMinutes(1), false, "some");
        String pit = asker().execute(CreatePitAction.INSTANCE, create).actionGet().getId();
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                Map<String, String> expected = bodies(PartialFailuresIT::bool);
                for (Map.Entry<String, String> body : bodies(PartialFailuresIT::hybrid).entrySet()) {
                    assertEquals(
                        body.getKey() + " by " + way,
                        outcome(() -> asker().search(in(pit, expected.get(body.getKey()))).actionGet()),
                        outcome(() -> asker().search(in(pit, body.getValue())).actionGet())
                    );
                }
            });
        }
        asker().execute(DeletePitAction.INSTANCE, new DeletePitRequest(pit)).actionGet();
        assertNothingOpen();
    }

    private static SearchRequest in(String pit, String body) {
        SearchRequest request = asked("", body);
        request.source().pointInTimeBuilder(new PointInTimeBuilder(pit));
        return request;
    }

    /** OpenSearch counts such a shard without a reason. */
    public void testAShardThatIsNotAvailable() throws Exception {
        // Two nodes have no place for the third shard.
        create("red", 3, Settings.builder().put("index.routing.allocation.total_shards_per_node", 1));
        ClusterHealthResponse health = client().admin().cluster().prepareHealth("red").setWaitForNoInitializingShards(true).get();
        assertEquals(2, health.getActiveShards());
        ClusterService cluster = internalCluster().clusterService();
        Predicate<String> placed = id -> {
            ShardId shard = cluster.operationRouting().indexShards(cluster.state(), "red", id, null).shardId();
            return cluster.state().getRoutingTable().shardRoutingTable(shard).primaryShard().active();
        };
        // A refresh of the index would wait for the third shard.
        assertFalse(fill("red", placed).setRefreshPolicy(WriteRequest.RefreshPolicy.IMMEDIATE).get().hasFailures());
        SearchResponse bool = ask("red", bodies(PartialFailuresIT::bool).get("whole"));
        assertEquals(bool.toString(), 3, bool.getTotalShards());
        assertEquals(bool.toString(), 2, bool.getSuccessfulShards());
        assertAsInABool("red");
    }

    /** A node is unreachable for the search itself after it has run the legs. */
    public void testAShardThatIsLostAfterItsLegsHaveRun() throws Exception {
        products("some", 3, Settings.builder().put("index.routing.allocation.total_shards_per_node", 2));
        String[] nodes = internalCluster().getNodeNames();
        MockTransportService sends = (MockTransportService) internalCluster().getInstance(TransportService.class, nodes[0]);
        TransportService other = internalCluster().getInstance(TransportService.class, nodes[1]);
        List<Integer> shards = internalCluster().clusterService(nodes[0]).state().getRoutingTable().allShards("some").stream()
            .filter(shard -> shard.currentNodeId().equals(other.getLocalNode().getId()))
            .map(ShardRouting::id)
            .toList();
        int there = shards.size();
        int lost = shards.get(0);
        Set<String> onOther = new HashSet<>();
        for (SearchHit hit : ask("some", "{\"size\": 30}").getHits()) {
            if (shards.contains(hit.getShard().getShardId().id())) {
                onOther.add(hit.getId());
            }
        }
        assertTrue(there + " shards, " + onOther, there < 3 && onOther.isEmpty() == false);
        AtomicBoolean silent = new AtomicBoolean();
        sends.addSendBehavior(other, (connection, id, action, request, options) -> {
            if (SearchTransportService.QUERY_ACTION_NAME.equals(action)
                && request instanceof ShardSearchRequest shard
                && shard.readerId() != null
                && "mmsearch_rank_docs".equals(shard.source().query().getWriteableName())) {
                throw silent.get()
                    ? new NoShardAvailableActionException(shard.shardId(), "gone")
                    : new NodeNotConnectedException(connection.getNode(), "gone");
            }
            connection.sendRequest(id, action, request, options);
        });
        try {
            for (HybridWay way : List.of(HybridWay.TWO_ROUNDS, HybridWay.POINT_IN_TIME)) {
                by(way, () -> {
                    for (boolean withoutReason : new boolean[] { false, true }) {
                        silent.set(withoutReason);
                        SearchResponse partial = ask("some", "{\"size\": 30, \"query\": " + hybrid(CHAIRS) + "}");
                        assertEquals(3, partial.getTotalShards());
                        assertEquals(3 - there, partial.getSuccessfulShards());
                        assertEquals(withoutReason ? 0 : there, partial.getFailedShards());
                        assertTrue(partial.getHits().getHits().length > 0);
                        for (SearchHit hit : partial.getHits()) {
                            assertFalse(hit.getId(), onOther.contains(hit.getId()));
                        }
                        // If the legs failed too, it counts as one failure.
                        partial = ask("some", "{\"query\": " + hybrid(CHAIRS, "{\"faulty\": {\"search\": [" + lost + "]}}") + "}");
                        assertEquals(shards(partial), 3 - there, partial.getSuccessfulShards());
                        assertEquals(way + ", " + withoutReason + ": " + shards(partial), withoutReason ? 1 : there, partial.getFailedShards());
                        assertTrue(shards(partial), shards(partial).contains("the search broke on " + lost));
                    }
                });
            }
        } finally {
            sends.clearAllRules();
        }
    }
}
