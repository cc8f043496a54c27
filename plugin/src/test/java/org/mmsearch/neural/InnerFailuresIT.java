package org.mmsearch.neural;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Predicate;

import org.mmsearch.neural.vectors.IndexedVectorExt;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.NoShardAvailableActionException;
import org.opensearch.action.admin.cluster.node.tasks.cancel.CancelTasksRequest;
import org.opensearch.action.get.GetAction;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchTransportService;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.internal.ShardSearchRequest;
import org.opensearch.tasks.TaskInfo;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.test.transport.MockTransportService;
import org.opensearch.transport.TransportService;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests shards that fail only in a search that a clause runs before the main one: the response reports them or is an error. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class InnerFailuresIT extends NeuralIT {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(MockTransportService.TestPlugin.class);
        return plugins;
    }

    /** How a shard fails. */
    private enum Fault {
        BROKEN,
        NOT_AVAILABLE
    }

    private interface Check {
        void run() throws Exception;
    }

    /** An index on the second node; the first node coordinates. */
    private void onTheOtherNode(String index) throws Exception {
        createEncoded(index, 3, "f1");
        String name = internalCluster().getNodeNames()[1];
        assertAcked(
            client().admin().indices().prepareUpdateSettings(index)
                .setSettings(Settings.builder().put("index.routing.allocation.require._name", name))
        );
        String id = internalCluster().clusterService(name).localNode().getId();
        assertBusy(
            () -> assertTrue(
                internalCluster().clusterService().state().getRoutingTable().allShards(index).stream()
                    .allMatch(shard -> shard.started() && shard.currentNodeId().equals(id))
            )
        );
        indexProducts(index, 12);
    }

    private void failing(Fault fault, Predicate<ShardSearchRequest> which, Check check) throws Exception {
        String[] nodes = internalCluster().getNodeNames();
        MockTransportService sends = (MockTransportService) internalCluster().getInstance(TransportService.class, nodes[0]);
        sends.addSendBehavior(
            internalCluster().getInstance(TransportService.class, nodes[1]),
            (connection, id, action, request, options) -> {
                if (SearchTransportService.QUERY_ACTION_NAME.equals(action)
                    && request instanceof ShardSearchRequest shard
                    && which.test(shard)) {
                    throw fault == Fault.BROKEN
                        ? new IllegalStateException("the search broke")
                        : new NoShardAvailableActionException(shard.shardId(), "gone");
                }
                connection.sendRequest(id, action, request, options);
            }
        );
        try {
            check.run();
        } finally {
            sends.clearAllRules();
        }
    }

    /** Matches the search for the cutoff score, which requests only scores. */
    private static boolean cutoffRound(ShardSearchRequest request) {
        return request.source().storedFields() != null && request.source().storedFields().fetchFields() == false;
    }

    public void testAShardThatFailsInTheSearchForACutoff() throws Exception {
        onTheOtherNode("products");
        String cut = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 12, \"cutoff\": {\"gap\": 0.999}}}}";
        String hybrid = "{\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}, " + cut + "]}}";
        for (String query : List.of(cut, hybrid)) {
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    SearchResponse whole = ask("products", "{\"query\": " + query + "}");
                    assertEquals(3, whole.getSuccessfulShards());
                    failing(Fault.BROKEN, shard -> shard.shardId().id() == 1 && cutoffRound(shard), () -> {
                        SearchResponse partial = ask("products", "{\"query\": " + query + "}");
                        assertEquals(3, partial.getTotalShards());
                        assertEquals(2, partial.getSuccessfulShards());
                        assertEquals(1, partial.getFailedShards());
                        assertEquals(1, partial.getShardFailures()[0].shardId());
                        assertTrue(partial.toString(), partial.toString().contains("the search broke"));
                        Exception e = expectThrows(
                            Exception.class,
                            () -> asker().search(asked("products", "{\"query\": " + query + "}").allowPartialSearchResults(false)).actionGet()
                        );
                        assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains("the search broke"));
                    });
                    failing(Fault.NOT_AVAILABLE, shard -> shard.shardId().id() == 1 && cutoffRound(shard), () -> {
                        SearchResponse partial = ask("products", "{\"query\": " + query + "}");
                        assertEquals(3, partial.getTotalShards());
                        assertEquals(2, partial.getSuccessfulShards());
                        assertEquals(0, partial.getFailedShards());
                    });
                    // A shard that fails in both searches counts once.
                    failing(Fault.BROKEN, shard -> shard.shardId().id() == 1, () -> {
                        SearchResponse partial = ask("products", "{\"query\": " + query + "}");
                        assertEquals(2, partial.getSuccessfulShards());
                        assertEquals(1, partial.getFailedShards());
                    });
                });
            }
        }
        assertNothingOpen();
    }

    /** Tests that a document is not reported as missing while its shard fails. */
    public void testAShardThatFailsInTheLookupOfADocument() throws Exception {
        onTheOtherNode("products");
        // The vector is only in the index, not in _source.
        client().prepareIndex("products").setId("bare").setSource("{\"title\": \"chair\"}", XContentType.JSON).get();
        client().admin().indices().prepareRefresh("products").get();
        int at = ask("products", "{\"query\": {\"ids\": {\"values\": [\"bare\"]}}}").getHits().getAt(0).getShard().getShardId().id();
        String like = "{\"query\": {\"neural\": {\"v\": {\"like\": {\"_id\": \"bare\"}}}}}";
        assertTrue(failure("products", like).contains("has no vector"));
        failing(Fault.BROKEN, shard -> shard.shardId().id() == at && looksUp(shard), () -> {
            Exception e = expectThrows(Exception.class, () -> ask("products", like));
            assertEquals(RestStatus.INTERNAL_SERVER_ERROR, ExceptionsHelper.status(e));
            assertTrue(e.getMessage(), e.getMessage().contains("like: expected all shards of [products] to search for [bare], got 1"));
        });
        failing(Fault.NOT_AVAILABLE, shard -> shard.shardId().id() == at && looksUp(shard), () -> {
            Exception e = expectThrows(Exception.class, () -> ask("products", like));
            assertEquals(RestStatus.SERVICE_UNAVAILABLE, ExceptionsHelper.status(e));
        });
        // Failures of other shards do not matter.
        failing(Fault.BROKEN, shard -> shard.shardId().id() != at && looksUp(shard), () -> {
            assertTrue(failure("products", like).contains("has no vector"));
        });
    }

    /** Blocks requests of an action from the first node to the second until the check is done. */
    private void held(String held, Check check) throws Exception {
        String[] nodes = internalCluster().getNodeNames();
        MockTransportService sends = (MockTransportService) internalCluster().getInstance(TransportService.class, nodes[0]);
        CountDownLatch until = new CountDownLatch(1);
        List<Thread> waiting = new CopyOnWriteArrayList<>();
        sends.addSendBehavior(
            internalCluster().getInstance(TransportService.class, nodes[1]),
            (connection, id, action, request, options) -> {
                if (action.startsWith(held) == false) {
                    connection.sendRequest(id, action, request, options);
                    return;
                }
                Thread thread = new Thread(() -> {
                    try {
                        until.await();
                        connection.sendRequest(id, action, request, options);
                    } catch (InterruptedException | IOException e) {
                        throw new AssertionError(e);
                    }
                });
                waiting.add(thread);
                thread.start();
            }
        );
        try {
            check.run();
        } finally {
            until.countDown();
            for (Thread thread : waiting) {
                thread.join();
            }
            sends.clearAllRules();
        }
    }

    public void testALookupBeyondTheDeadline() throws Exception {
        onTheOtherNode("products");
        String like = "{\"timeout\": \"200ms\", \"query\": {\"neural\": {\"v\": {\"like\": {\"_id\": \"p1\"}}}}}";
        held(GetAction.NAME, () -> {
            Exception e = expectThrows(Exception.class, () -> asker().search(asked("products", like)).actionGet(20, TimeUnit.SECONDS));
            assertEquals(e.toString(), RestStatus.GATEWAY_TIMEOUT, ExceptionsHelper.status(e));
            assertTrue(e.getMessage(), e.getMessage().contains("within the search's timeout"));
        });
        // The lookup is part of the search and cancelled with it.
        held(GetAction.NAME, () -> {
            SearchRequest request = asked("products", like.replace("200ms", "1m"));
            ActionFuture<SearchResponse> search = asker().search(request);
            assertBusy(() -> {
                List<TaskInfo> gets = tasks(GetAction.NAME);
                assertEquals(1, gets.size());
                assertEquals(tasks(SearchAction.NAME).get(0).getTaskId(), gets.get(0).getParentTaskId());
            });
            client().admin().cluster().cancelTasks(new CancelTasksRequest().setTaskId(tasks(SearchAction.NAME).get(0).getTaskId())).actionGet();
            Exception e = expectThrows(Exception.class, () -> search.actionGet(20, TimeUnit.SECONDS));
            assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains(TaskCancelledException.class.getSimpleName()));
        });
    }

    private static List<TaskInfo> tasks(String action) {
        return client().admin().cluster().prepareListTasks().setActions(action).get().getTasks();
    }

    /** Tests that the time after which a search is cancelled starts with the search, not with its point in time. */
    public void testACancelledSearchWhosePointInTimeIsBeingOpened() throws Exception {
        onTheOtherNode("products");
        by(HybridWay.POINT_IN_TIME, () -> {
            SearchRequest request = asked("products", "{\"query\": {\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}]}}}");
            request.setCancelAfterTimeInterval(TimeValue.timeValueMillis(100));
            AtomicReference<ActionFuture<SearchResponse>> search = new AtomicReference<>();
            held(SearchTransportService.CREATE_READER_CONTEXT_ACTION_NAME, () -> {
                search.set(asker().search(request));
                assertBusy(() -> assertTrue(tasks(SearchAction.NAME).get(0).isCancelled()));
            });
            Exception e = expectThrows(Exception.class, () -> search.get().actionGet(20, TimeUnit.SECONDS));
            assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains(TaskCancelledException.class.getSimpleName()));
        });
        assertNothingOpen();
    }

    private static boolean looksUp(ShardSearchRequest request) {
        return request.source().ext().stream().anyMatch(ext -> ext.getWriteableName().equals(IndexedVectorExt.NAME));
    }

    /** Tests that a lost shard is not reported as a missing document. */
    public void testAShardThatIsNotAvailableInTheLookupOfADocument() throws IOException {
        createEncoded("gone", 1, "f1");
        indexProducts("gone", 2);
        assertAcked(
            client().admin().indices().prepareCreate("unassigned")
                .setSettings(
                    Settings.builder()
                        .put("index.number_of_shards", 1)
                        .put("index.number_of_replicas", 0)
                        .put("index.routing.allocation.require._name", "nobody")
                )
                .setWaitForActiveShards(org.opensearch.action.support.ActiveShardCount.NONE)
        );
        String like = "{\"query\": {\"neural\": {\"v\": {\"like\": {\"_id\": \"p1\", \"_index\": \"unassigned\"}}}}}";
        Exception e = expectThrows(Exception.class, () -> ask("gone", like));
        assertEquals(RestStatus.SERVICE_UNAVAILABLE, ExceptionsHelper.status(e));
    }
}
