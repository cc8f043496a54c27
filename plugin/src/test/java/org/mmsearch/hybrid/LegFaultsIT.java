package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import org.mmsearch.MmsearchIT;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.admin.cluster.node.tasks.cancel.CancelTasksRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.lookup.LeafDocLookup;
import org.opensearch.tasks.TaskInfo;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests legs that are slow, fail on one shard, or are cancelled: the response must report a leg as it reports a query. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class LegFaultsIT extends MmsearchIT {

    private static final int[] SHARDS = { 1, 3 };

    private static volatile CountDownLatch held = new CountDownLatch(0);

    /** Scripts that misbehave. */
    public static final class Faults extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("slow", vars -> {
                sleep(30);
                return true;
            }, "broken", vars -> {
                if (price(vars) == 7) {
                    throw new IllegalStateException("the leg broke");
                }
                return true;
            }, "held", vars -> {
                try {
                    return held.await(20, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            });
        }

        private static void sleep(long millis) {
            try {
                Thread.sleep(millis);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        private static double price(Map<String, Object> vars) {
            return ((Number) ((LeafDocLookup) vars.get("doc")).get("price").get(0)).doubleValue();
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Faults.class);
        return plugins;
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        // The resolution of the clock for deadlines.
        return Settings.builder().put(super.nodeSettings(ordinal)).put("thread_pool.estimated_time_interval", "5ms").build();
    }

    /** Products p1 to p20 with prices 1 to 20, in the segments that {@link #arrange} makes. */
    private String products(int shards) {
        String index = "products" + shards;
        createProducts(index, shards, 2);
        for (int i = 1; i <= 20; i++) {
            put(index, i);
        }
        arrange(index);
        return index;
    }

    static void put(String index, int i) {
        client().prepareIndex(index).setId("p" + i).setSource("{\"title\": \"chair\", \"price\": " + i + "}", XContentType.JSON).get();
    }

    /** Here only the leg itself checks the clock. */
    void arrange(String index) {
        client().admin().indices().prepareForceMerge(index).setMaxNumSegments(1).get();
        refresh(index);
    }

    private static String hybrid(String rest, String script) {
        return "{" + rest + "\"size\": 20, \"query\": {\"hybrid\": {\"queries\": [{\"script\": {\"script\": {\"lang\": \"mockscript\", "
            + "\"source\": \"" + script + "\"}}}, {\"match\": {\"title\": \"chair\"}}]}}}";
    }

    private static List<String> ids(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(SearchHit::getId).toList();
    }

    private static String failed(SearchRequest request) {
        return ExceptionsHelper.stackTrace(expectThrows(Exception.class, () -> asker().search(request).actionGet()));
    }

    public void testATimeoutOfALegIsReported() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    assertFalse(ask(index, hybrid("\"timeout\": \"1m\", ", "slow")).isTimedOut());
                    SearchResponse late = ask(index, hybrid("\"timeout\": \"20ms\", ", "slow"));
                    assertTrue(late.toString(), late.isTimedOut());
                    assertEquals(0, late.getFailedShards());
                    String whole = failed(asked(index, hybrid("\"timeout\": \"20ms\", ", "slow")).allowPartialSearchResults(false));
                    assertTrue(whole, whole.contains("Time exceeded"));
                });
            }
        }
        assertNothingOpen();
    }

    /** As for any query, {@code terminate_after} ends the search after this many fused hits per shard and is reported. */
    public void testAnEarlyEndIsReported() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    SearchResponse early = ask(index, hybrid("\"terminate_after\": 2, ", "slow"));
                    assertEquals(Boolean.TRUE, early.isTerminatedEarly());
                    assertEquals(2 * shards, early.getHits().getHits().length);
                    assertNotEquals(Boolean.TRUE, ask(index, hybrid("\"terminate_after\": 1000, ", "slow")).isTerminatedEarly());
                });
            }
        }
        assertNothingOpen();
    }

    public void testAShardFailureOfALegIsReported() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                List<String> all = ids(ask(index, hybrid("", "slow")));
                assertEquals(20, all.size());
                SearchResponse partial = ask(index, hybrid("", "broken"));
                assertEquals(3, partial.getTotalShards());
                assertEquals(2, partial.getSuccessfulShards());
                assertEquals(1, partial.getFailedShards());
                String reason = ExceptionsHelper.stackTrace(partial.getShardFailures()[0].getCause());
                assertTrue(reason, reason.contains("the leg broke"));
                assertFalse(ids(partial).isEmpty());
                assertFalse(ids(partial).contains("p7"));
            });
        }
        assertNothingOpen();
    }

    public void testAShardFailureOfALegFailsASearchWithoutPartialResults() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    String whole = failed(asked(index, hybrid("", "broken")).allowPartialSearchResults(false));
                    assertTrue(whole, whole.contains("the leg broke"));
                });
            }
        }
        assertNothingOpen();
    }

    public void testCancellingTheSearchCancelsItsLegs() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> cancel(index, way == HybridWay.ONE_SEARCH ? 1 : 2));
        }
        assertNothingOpen();
    }

    /** @param tasks the number of searches: the search, and the round of its legs if it has one */
    private void cancel(String index, int tasks) throws Exception {
        held = new CountDownLatch(1);
        try {
            ActionFuture<SearchResponse> search = asker().search(asked(index, hybrid("", "held")));
            assertBusy(() -> assertEquals(tasks, searches().size()));
            TaskInfo outer = searches().stream().filter(task -> task.getParentTaskId().isSet() == false).findFirst().orElseThrow();
            for (TaskInfo task : searches()) {
                assertTrue(task.getTaskId().equals(outer.getTaskId()) || task.getParentTaskId().equals(outer.getTaskId()));
                assertFalse(task.isCancelled());
            }
            client().admin().cluster().cancelTasks(new CancelTasksRequest().setTaskId(outer.getTaskId())).actionGet();
            assertBusy(() -> assertTrue(searches().stream().allMatch(TaskInfo::isCancelled)));
            held.countDown();
            Exception e = expectThrows(Exception.class, () -> search.actionGet(10, TimeUnit.SECONDS));
            assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains(TaskCancelledException.class.getSimpleName()));
            assertBusy(() -> assertEquals(List.of(), searches()));
        } finally {
            held.countDown();
        }
    }

    private static List<TaskInfo> searches() {
        return client().admin().cluster().prepareListTasks().setActions(SearchAction.NAME).get().getTasks();
    }
}
