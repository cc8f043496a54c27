package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.index.IndexModule;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.search.SearchService;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.tasks.TaskInfo;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests that a search has one timeout from its arrival: time used by the encoder and the rounds of legs is not available to later steps.
 * Checks the timeouts of the shard requests.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class OneDeadlineIT extends NeuralIT {

    private static final long ALL = 10_000;
    private static final long SLOW = 300;
    private static final String DENSE = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 6}}}";
    private static final String CUT = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 6, \"cutoff\": {\"gap\": 0.999}}}}";
    private static final String CHAIRS = "{\"match\": {\"title\": \"chair\"}}";

    private static final Queue<Asked> ASKED = new ConcurrentLinkedQueue<>();
    private static volatile CountDownLatch held = new CountDownLatch(0);

    /** A shard request: the query's name and its timeout. */
    private record Asked(String query, TimeValue timeout) {}

    /** Records shard requests. */
    public static final class Recorder extends Plugin {
        @Override
        public void onIndexModule(IndexModule module) {
            module.addSearchOperationListener(new SearchOperationListener() {
                @Override
                public void onPreQueryPhase(SearchContext context) {
                    var source = context.request().source();
                    ASKED.add(new Asked(source.query() == null ? "none" : source.query().getWriteableName(), source.timeout()));
                }
            });
        }
    }

    /** Slow scripts. */
    public static final class Scripts extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("slow", vars -> await(new CountDownLatch(1), 30), "held", vars -> await(held, 20_000));
        }
    }

    private static boolean await(CountDownLatch latch, long millis) {
        try {
            latch.await(millis, TimeUnit.MILLISECONDS);
            return true;
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Recorder.class);
        plugins.add(Scripts.class);
        return plugins;
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        // The resolution of the clock for deadlines.
        return Settings.builder().put(super.nodeSettings(ordinal)).put("thread_pool.estimated_time_interval", "5ms").build();
    }

    @Override
    public void setUp() throws Exception {
        super.setUp();
        set(Settings.builder().put("mmsearch.cache.size", "0b").put("mmsearch.triton.timeout", "1m"));
    }

    @Override
    public void tearDown() throws Exception {
        set(Settings.builder().putNull(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey()));
        super.tearDown();
    }

    private static String hybrid(String... legs) {
        return "{\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]}}";
    }

    private static String script(String name) {
        return "{\"script\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"" + name + "\"}}}";
    }

    private String products(int shards) {
        String index = "products" + shards;
        createEncoded(index, shards, "f1");
        indexProducts(index, 12);
        return index;
    }

    private void slowEncoder() {
        triton.behave(new Behaviour.Answer(asked -> {
            await(new CountDownLatch(1), SLOW);
            return StubTriton.vectorOf(asked.text());
        }));
    }

    private static List<Asked> askedOf(CheckedSearch search) throws Exception {
        ASKED.clear();
        search.run();
        return List.copyOf(ASKED);
    }

    private interface CheckedSearch {
        void run() throws Exception;
    }

    private static String timed(String timeout, String query) {
        return "{" + (timeout == null ? "" : "\"timeout\": \"" + timeout + "\", ") + "\"query\": " + query + "}";
    }

    public void testTheEncodersPart() throws Exception {
        for (int shards : new int[] { 1, 3 }) {
            String index = products(shards);
            slowEncoder();
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    for (String query : List.of(DENSE, CUT, hybrid(CHAIRS, DENSE), hybrid(CHAIRS, CUT), hybrid(CHAIRS, hybrid(DENSE)))) {
                        String what = shards + " " + way + " " + query;
                        List<Asked> bounded = askedOf(() -> assertFalse(ask(index, timed(ALL + "ms", query)).isTimedOut()));
                        assertFalse(what, bounded.isEmpty());
                        bounded.forEach(asked -> assertLess(what, ALL - SLOW, asked));
                        List<Asked> free = askedOf(() -> ask(index, timed(null, query)));
                        free.forEach(asked -> assertTrue(what + asked, asked.timeout() == null || SearchService.NO_TIMEOUT.equals(asked.timeout())));
                        set(Settings.builder().put(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey(), ALL + "ms"));
                        List<Asked> byDefault = askedOf(() -> ask(index, timed(null, query)));
                        byDefault.forEach(asked -> assertLess(what, ALL - SLOW, asked));
                        List<Asked> without = askedOf(() -> ask(index, timed("-1", query)));
                        without.forEach(asked -> assertEquals(what, SearchService.NO_TIMEOUT, asked.timeout()));
                        set(Settings.builder().putNull(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey()));
                    }
                });
            }
        }
        assertNothingOpen();
    }

    private static void assertLess(String what, long most, Asked asked) {
        assertNotNull(what + ": " + asked, asked.timeout());
        assertTrue(what + ": " + asked, asked.timeout().millis() > 0 && asked.timeout().millis() <= most);
    }

    public void testTheRoundsPart() throws Exception {
        String index = products(3);
        for (HybridWay way : List.of(HybridWay.TWO_ROUNDS, HybridWay.POINT_IN_TIME)) {
            by(way, () -> {
                String query = "{\"bool\": {\"should\": [" + hybrid(script("slow"), CHAIRS) + "]}}";
                List<Asked> all = askedOf(() -> assertFalse(ask(index, timed(ALL + "ms", query)).isTimedOut()));
                List<Asked> last = all.stream().filter(asked -> asked.query().equals("bool")).toList();
                assertEquals(all.toString(), 3, last.size());
                last.forEach(asked -> assertLess(way + "", ALL - 30, asked));
            });
        }
        assertNothingOpen();
    }

    /** Tests that a search without earlier steps keeps its timeout: another value would change its key in the request cache. */
    public void testASearchWithoutEarlierStepsKeepsItsTimeout() throws Exception {
        String index = products(3);
        for (String query : List.of(CHAIRS, hybrid(CHAIRS))) {
            List<Asked> all = askedOf(() -> ask(index, timed(ALL + "ms", query)));
            assertEquals(3, all.size());
            all.forEach(asked -> assertEquals(TimeValue.timeValueMillis(ALL), asked.timeout()));
        }
        set(Settings.builder().put("mmsearch.cache.size", "1mb"));
        ask(index, timed(null, DENSE));
        List<Asked> all = askedOf(() -> ask(index, timed(ALL + "ms", DENSE)));
        all.forEach(asked -> assertEquals(TimeValue.timeValueMillis(ALL), asked.timeout()));
    }

    public void testAnEncoderThatTakesAll() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(never, new Behaviour.Cut()));
        try {
            for (int shards : new int[] { 1, 3 }) {
                String index = products(shards);
                set(Settings.builder().put(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey(), "100ms"));
                for (HybridWay way : HybridWay.values()) {
                    by(way, () -> {
                        for (String query : List.of(DENSE, hybrid(CHAIRS, DENSE))) {
                            for (String timeout : new String[] { "100ms", null }) {
                                Exception e = expectThrows(Exception.class, () -> ask(index, timed(timeout, query)));
                                assertEquals(e.toString(), RestStatus.GATEWAY_TIMEOUT, ExceptionsHelper.status(e));
                            }
                        }
                        String skip = "{\"hybrid\": {\"on_encoder_failure\": \"skip\", \"queries\": [" + CHAIRS + ", " + DENSE + "]}}";
                        List<Asked> rest = askedOf(() -> {
                            SearchResponse degraded = ask(index, timed("100ms", skip));
                            assertTrue(degraded.toString(), degraded.toString().contains("\"degraded\""));
                        });
                        // No time is left, but the other legs must still return hits.
                        assertFalse(rest.isEmpty());
                        rest.forEach(asked -> assertEquals(TimeValue.timeValueMillis(50), asked.timeout()));
                    });
                }
                set(Settings.builder().putNull(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey()));
            }
        } finally {
            never.countDown();
        }
        assertNothingOpen();
    }

    public void testATimeoutOfMinusOneIsNone() throws Exception {
        String index = products(1);
        set(Settings.builder().put(SearchService.DEFAULT_SEARCH_TIMEOUT_SETTING.getKey(), "100ms"));
        slowEncoder();
        assertEquals(6, ask(index, timed("-1", DENSE)).getHits().getHits().length);
    }

    /** Late legs return the hits found so far, or an error without partial results. */
    public void testLegsThatTakeAll() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                SearchRequest late = asked(index, timed("60ms", hybrid(CHAIRS, script("slow"))));
                SearchResponse partial = asker().search(late).actionGet();
                assertTrue(partial.isTimedOut());
                assertEquals(0, partial.getFailedShards());
                SearchRequest whole = asked(index, timed("60ms", hybrid(CHAIRS, script("slow")))).allowPartialSearchResults(false);
                Exception e = expectThrows(Exception.class, () -> asker().search(whole).actionGet());
                assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains("Time exceeded"));
            });
        }
        assertNothingOpen();
    }

    public void testTheTimeAfterWhichASearchIsCancelled() throws Exception {
        String index = products(3);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                held = new CountDownLatch(1);
                try {
                    SearchRequest request = asked(index, timed(null, hybrid(CHAIRS, script("held"))));
                    request.setCancelAfterTimeInterval(TimeValue.timeValueMillis(500));
                    ActionFuture<SearchResponse> search = asker().search(request);
                    assertBusy(() -> {
                        List<TaskInfo> tasks = client().admin().cluster().prepareListTasks().setActions(SearchAction.NAME).get().getTasks();
                        // On a slow machine the search may end before the round.
                        assertTrue(search.isDone() || tasks.isEmpty() == false && tasks.stream().allMatch(TaskInfo::isCancelled));
                    });
                    held.countDown();
                    Exception e = expectThrows(Exception.class, () -> search.actionGet(10, TimeUnit.SECONDS));
                    assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains(TaskCancelledException.class.getSimpleName()));
                } finally {
                    held.countDown();
                }
                CountDownLatch never = new CountDownLatch(1);
                triton.behave(new Behaviour.Held(never, new Behaviour.Cut()));
                try {
                    SearchRequest request = asked(index, timed(null, hybrid(CHAIRS, DENSE)));
                    request.setCancelAfterTimeInterval(TimeValue.timeValueMillis(100));
                    Exception e = expectThrows(Exception.class, () -> asker().search(request).actionGet(20, TimeUnit.SECONDS));
                    assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains(TaskCancelledException.class.getSimpleName()));
                } finally {
                    never.countDown();
                }
            });
        }
        assertNothingOpen();
    }
}
