package org.mmsearch.hybrid.legs;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import org.mmsearch.MmsearchIT;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.Strings;
import org.opensearch.core.indices.breaker.CircuitBreakerService;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.MediaTypeRegistry;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests that legs in slices ({@code search.concurrent_segment_search}) return the same hits, from other threads. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class SlicesIT extends MmsearchIT {

    private static final int[] SHARDS = { 1, 3 };
    private static final int SEGMENTS = 8;
    private static final int PRODUCTS = 96;

    private static final String MATCH = "{\"match\": {\"title\": \"red chair\"}}";
    private static final String KNN = "{\"knn\": {\"v\": {\"vector\": [3, 1], \"k\": 7}}}";
    /** Legs with equal scores, so that only the document number decides. */
    private static final String TIES = "{\"constant_score\": {\"filter\": {\"term\": {\"color\": \"c1\"}}}}";
    private static final String STEPS = "{\"function_score\": {\"query\": {\"match_all\": {}}, \"boost_mode\": \"replace\", "
        + "\"field_value_factor\": {\"field\": \"price\"}}}";

    /** The threads that ran a script since it was last cleared. */
    private static final Set<String> THREADS = ConcurrentHashMap.newKeySet();
    /** Open until a slice thread arrives; other threads wait for it if told to. */
    private static volatile CountDownLatch helper = new CountDownLatch(0);

    /** Scripts that record the current thread. */
    public static final class Where extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("where", vars -> {
                String thread = Thread.currentThread().getName();
                THREADS.add(thread);
                if (isHelper(thread)) {
                    helper.countDown();
                }
                try {
                    return helper.await(20, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            });
        }
    }

    private static boolean isHelper(String thread) {
        return thread.contains("[index_searcher]");
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Where.class);
        return plugins;
    }

    @Override
    protected Collection<Class<? extends Plugin>> getMockPlugins() {
        return withOwnSearches(super.getMockPlugins());
    }

    /** Few threads and a short queue, so that tasks are rejected. */
    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder()
            .put(super.nodeSettings(ordinal))
            .put("mmsearch.hybrid.legs_at_once_from", 100_000)
            .put("thread_pool.index_searcher.size", 2)
            .put("thread_pool.index_searcher.queue_size", 4)
            .build();
    }

    private static void set(Settings.Builder settings) {
        assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings));
    }

    /** Products in many segments, with few prices and colors. */
    private String products(int shards) {
        String index = "products" + shards;
        createProducts(index, shards, 2);
        assertAcked(client().admin().indices().prepareUpdateSettings(index).setSettings(UNMERGED));
        for (int i = 0; i < PRODUCTS; i++) {
            String source = "{\"title\": \"%s chair\", \"color\": \"c%s\", \"price\": %s, \"v\": [%s, %s]}";
            client().prepareIndex(index)
                .setId("p" + i)
                .setSource(source.formatted(i % 3 == 0 ? "red" : "blue", i % 2, i % 5 + 1, i % 10, i / 10), XContentType.JSON)
                .get();
            if (i % (PRODUCTS / SEGMENTS) == 0) {
                refresh(index);
            }
        }
        refresh(index);
        // Some are replaced and some deleted.
        for (int i = 0; i < PRODUCTS; i += 9) {
            client().prepareDelete(index, "p" + i).get();
        }
        refresh(index);
        assertTrue("segments: " + segments(index), segments(index) >= 4 * shards);
        return index;
    }

    private static String hybrid(int window, String rest, String... legs) {
        return "{" + rest + "\"query\": {\"hybrid\": {\"pagination_depth\": " + window + ", \"queries\": [" + String.join(", ", legs) + "]}}}";
    }

    private static List<String> answer(SearchResponse response) {
        assertEquals(0, response.getFailedShards());
        assertFalse(response.isTimedOut());
        List<String> answer = new ArrayList<>();
        answer.add(response.getHits().getTotalHits() + ", " + response.getHits().getMaxScore());
        for (SearchHit hit : response.getHits()) {
            answer.add(hit.getId() + " " + hit.getScore() + " " + hit.field("_legs").getValues());
        }
        if (response.getAggregations() != null) {
            answer.add(Strings.toString(MediaTypeRegistry.JSON, response.getAggregations()));
        }
        return answer;
    }

    private static List<String> bodies() {
        List<String> bodies = new ArrayList<>();
        for (int window : new int[] { 1, 7, 20, 100 }) {
            bodies.add(hybrid(window, "\"size\": " + Math.min(window, 50) + ", ", MATCH, KNN, TIES, STEPS));
        }
        bodies.add(hybrid(20, "\"size\": 20, \"profile\": true, ", TIES, KNN, STEPS));
        bodies.add(hybrid(20, "\"size\": 20, \"explain\": true, ", TIES, KNN, STEPS));
        bodies.add(hybrid(20, "\"size\": 5, \"from\": 5, ", TIES, STEPS));
        bodies.add(hybrid(20, "\"sort\": [{\"price\": \"desc\"}, {\"_doc\": \"asc\"}], ", TIES, MATCH));
        bodies.add(hybrid(20, "\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}, \"aggs\": {\"p\": {\"avg\": {\"field\": \"price\"}}}}}, ", TIES, KNN));
        bodies.add(hybrid(20, "\"size\": 20, ", STEPS, "{\"hybrid\": {\"queries\": [" + TIES + ", " + MATCH + "]}}"));
        return bodies;
    }

    public void testTheSameAnswersWhateverTheSlices() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    slices(index, "none", 0);
                    List<List<String>> expected = bodies().stream().map(body -> answer(ask(index, body))).toList();
                    for (int atOnceFrom : new int[] { 0, 100_000 }) {
                        set(Settings.builder().put("mmsearch.hybrid.legs_at_once_from", atOnceFrom));
                        assertAnswers(index, "auto", 2, expected);
                        for (int most = 0; most <= 8; most++) {
                            assertAnswers(index, "all", most, expected);
                        }
                    }
                    set(Settings.builder().putNull("mmsearch.hybrid.legs_at_once_from"));
                });
            }
        }
        assertNothingOpen();
    }

    private static void assertAnswers(String index, String mode, int most, List<List<String>> expected) {
        slices(index, mode, most);
        List<String> bodies = bodies();
        for (int i = 0; i < bodies.size(); i++) {
            assertEquals(mode + " " + most + " " + bodies.get(i), expected.get(i), answer(ask(index, bodies.get(i))));
        }
    }

    public void testSlicesAreSearchedByThreadsOfTheirOwn() throws Exception {
        String script = "{\"script\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"where\"}}}";
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    // In auto mode, OpenSearch decides for vectors and aggregations.
                    assertSliced(index, "all", 4, hybrid(10, "", script), true);
                    assertSliced(index, "auto", 4, hybrid(10, "", script, KNN), true);
                    assertSliced(index, "all", 1, hybrid(10, "", script), false);
                    assertSliced(index, "none", 4, hybrid(10, "", script, TIES), false);
                    if (way != HybridWay.POINT_IN_TIME) {
                        // A slice thread runs the legs, even if it is the only one.
                        assertSliced(index, "all", 4, hybrid(10, "\"profile\": true, ", script), false);
                    }
                });
            }
        }
        assertNothingOpen();
    }

    private static void assertSliced(String index, String mode, int most, String body, boolean sliced) {
        slices(index, mode, most);
        THREADS.clear();
        helper = new CountDownLatch(sliced ? 1 : 0);
        SearchResponse response = ask(index, body);
        assertEquals(mode + " " + most + " " + body, 10, response.getHits().getHits().length);
        assertEquals(mode + " " + most + " by " + THREADS, sliced, THREADS.stream().anyMatch(SlicesIT::isHelper));
    }

    /** A slice with a hybrid in its query or filter starts slices for the legs. Tests that no thread waits for a waiting thread. */
    public void testManyAtOnceWithFewThreads() throws Exception {
        set(Settings.builder().put("mmsearch.hybrid.legs_at_once_from", 0));
        try {
            for (int shards : SHARDS) {
                String index = products(shards);
                List<String> bodies = new ArrayList<>(bodies());
                if (shards == 1) {
                    String inner = "{\"hybrid\": {\"queries\": [" + TIES + ", " + KNN + "]}}";
                    bodies.add(hybrid(20, "\"aggs\": {\"f\": {\"filter\": " + inner + "}}, ", TIES, inner));
                }
                for (HybridWay way : HybridWay.values()) {
                    by(way, () -> {
                        slices(index, "none", 0);
                        List<List<String>> expected = bodies.stream().map(body -> answer(ask(index, body))).toList();
                        slices(index, "all", 8);
                        List<ActionFuture<SearchResponse>> running = new ArrayList<>();
                        for (int i = 0; i < 3 * bodies.size(); i++) {
                            running.add(asker().search(asked(index, bodies.get(i % bodies.size()))));
                        }
                        for (int i = 0; i < running.size(); i++) {
                            assertEquals(expected.get(i % bodies.size()), answer(running.get(i).actionGet(60, TimeUnit.SECONDS)));
                        }
                    });
                }
            }
        } finally {
            set(Settings.builder().putNull("mmsearch.hybrid.legs_at_once_from"));
        }
        assertNothingOpen();
    }

    /** Explain and validate create weights without a decision on slices. */
    public void testExplainAndValidate() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            slices(index, "all", 4);
            SearchSourceBuilder source = asked(index, hybrid(20, "", TIES, KNN)).source();
            String id = ask(index, hybrid(20, "", TIES, KNN)).getHits().getAt(0).getId();
            assertTrue(client().prepareExplain(index, id).setQuery(source.query()).get().isMatch());
            assertTrue(client().admin().indices().prepareValidateQuery(index).setQuery(source.query()).setRewrite(true).get().isValid());
        }
        assertNothingOpen();
    }

    public void testHeapOfTheSlices() throws Exception {
        String index = products(1);
        String body = hybrid(50, "", TIES, STEPS, MATCH, TIES, STEPS, MATCH);
        // Collected once and fused, six legs of 50 hits need 6 * 50 * (40 + 192) bytes; in eight slices, 6 * 50 * 40 more for each slice.
        set(Settings.builder().put("breaker.mmsearch.limit", "80000b").put("breaker.mmsearch.overhead", "1.0"));
        try {
            slices(index, "none", 0);
            assertEquals(10, ask(index, body).getHits().getHits().length);
            slices(index, "all", 2);
            assertEquals(10, ask(index, body).getHits().getHits().length);
            slices(index, "all", 8);
            Exception e = expectThrows(Exception.class, () -> ask(index, body));
            assertEquals(e.toString(), RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
        } finally {
            set(Settings.builder().putNull("breaker.mmsearch.limit").putNull("breaker.mmsearch.overhead"));
        }
        CircuitBreakerService breakers = internalCluster().getInstance(CircuitBreakerService.class, internalCluster().getNodeNames()[0]);
        assertBusy(() -> assertEquals("bytes held", 0, breakers.getBreaker(MemoryBreaker.NAME).getUsed()));
    }
}
