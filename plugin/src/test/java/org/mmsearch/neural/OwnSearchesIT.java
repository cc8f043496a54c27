package org.mmsearch.neural;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import org.opensearch.common.action.ActionFuture;
import org.opensearch.action.admin.cluster.node.tasks.cancel.CancelTasksRequest;
import org.opensearch.action.search.PutSearchPipelineRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.search.lookup.LeafDocLookup;
import org.opensearch.tasks.TaskInfo;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests that a clause with its own search (relative cutoff) continues within its surrounding search: pipeline, failures, profile, timeout
 * and cancellation still apply. Each response is compared with that of the same search without the cutoff, which cuts nothing here.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class OwnSearchesIT extends NeuralIT {

    private static final String RANKED = """
        {"phase_results_processors": [{"score-ranker-processor": {"combination": {"technique": "rrf", "rank_constant": 4}}}]}""";
    private static final String[] CUTOFFS = { "", ", \"cutoff\": {\"relative_max\": 0.0001}", ", \"cutoff\": {\"gap\": 0.999}" };
    private static volatile CountDownLatch held = new CountDownLatch(0);

    /** Scripts that misbehave. */
    public static final class Faults extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("broken", vars -> {
                if ("odd".equals(((LeafDocLookup) vars.get("doc")).get("color").get(0))) {
                    throw new IllegalStateException("the leg broke");
                }
                return true;
            }, "slow", vars -> {
                await(new CountDownLatch(1), 30);
                return true;
            }, "held", vars -> await(held, 20_000));
        }

        private static boolean await(CountDownLatch latch, long millis) {
            try {
                return latch.await(millis, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
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

    private static String legs(String first, String cutoff) {
        return "{\"hybrid\": {\"queries\": [" + first + ", {\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 6" + cutoff + "}}}]}}";
    }

    private static String script(String name) {
        return "{\"script\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"" + name + "\"}}}";
    }

    private String products(int shards) {
        String index = "own" + shards;
        createEncoded(index, shards, "f1");
        indexProducts(index, 12);
        return index;
    }

    public void testThePipelineOfTheRequestHolds() throws Exception {
        assertAcked(
            client().admin().cluster().putSearchPipeline(new PutSearchPipelineRequest("ranked", new BytesArray(RANKED), XContentType.JSON)).actionGet()
        );
        for (int shards : new int[] { 1, 3 }) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    for (String cutoff : CUTOFFS) {
                        String query = legs("{\"match\": {\"title\": \"chair\"}}", cutoff);
                        SearchResponse response = asker().search(asked(index, "{\"query\": " + query + "}").pipeline("ranked")).actionGet();
                        // The best hit of both legs, or of one: 1 / (4 + 1) each.
                        float best = response.getHits().getAt(0).getScore();
                        assertTrue(way + " " + cutoff + ": " + best, best > 0.2f - 1e-6 && best <= 0.4f + 1e-6);
                    }
                });
            }
        }
    }

    public void testAFailedShardIsReported() throws Exception {
        String index = products(3);
        client().prepareIndex(index).setId("odd").setSource("{\"title\": \"chair\", \"color\": \"odd\"}", XContentType.JSON).get();
        client().admin().indices().prepareRefresh(index).get();
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (String cutoff : CUTOFFS) {
                    SearchResponse response = ask(index, "{\"query\": " + legs(script("broken"), cutoff) + "}");
                    assertEquals(way + cutoff, 1, response.getFailedShards());
                    assertEquals(way + cutoff, 2, response.getSuccessfulShards());
                    assertEquals(way + cutoff, 3, response.getTotalShards());
                }
            });
        }
    }

    public void testTheProfileIsComplete() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (String cutoff : CUTOFFS) {
                    String query = legs("{\"match\": {\"title\": \"chair\"}}", cutoff);
                    SearchResponse response = ask(index, "{\"profile\": true, \"query\": " + query + "}");
                    assertEquals(way + cutoff, way == HybridWay.ONE_SEARCH ? 3 : 6, response.getProfileResults().size());
                }
            });
        }
    }

    public void testATimeoutIsReported() throws Exception {
        String index = products(3);
        // The vector is cached, so the leg uses all the time.
        ask(index, "{\"query\": " + legs("{\"match\": {\"title\": \"chair\"}}", "") + "}");
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (String cutoff : CUTOFFS) {
                    SearchRequest late = asked(index, "{\"query\": " + legs(script("slow"), cutoff) + "}");
                    late.source().timeout(TimeValue.timeValueMillis(20));
                    assertTrue(way + cutoff, asker().search(late).actionGet().isTimedOut());
                }
            });
        }
    }

    public void testCancellingReachesTheLegs() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (String cutoff : CUTOFFS) {
                    cancel(index, "{\"query\": " + legs(script("held"), cutoff) + "}", way == HybridWay.ONE_SEARCH ? 1 : 2);
                }
            });
        }
        assertNothingOpen();
    }

    private void cancel(String index, String body, int tasks) throws Exception {
        held = new CountDownLatch(1);
        try {
            ActionFuture<SearchResponse> search = asker().search(asked(index, body));
            assertBusy(() -> assertEquals(tasks, searches().size()));
            TaskInfo outer = searches().stream().filter(task -> task.getParentTaskId().isSet() == false).findFirst().orElseThrow();
            client().admin().cluster().cancelTasks(new CancelTasksRequest().setTaskId(outer.getTaskId())).actionGet();
            assertBusy(() -> assertTrue(searches().stream().allMatch(TaskInfo::isCancelled)));
            held.countDown();
            expectThrows(Exception.class, () -> search.actionGet(10, TimeUnit.SECONDS));
            assertBusy(() -> assertEquals(List.of(), searches()));
        } finally {
            held.countDown();
        }
    }

    private static List<TaskInfo> searches() {
        return client().admin().cluster().prepareListTasks().setActions(SearchAction.NAME).get().getTasks();
    }
}
