package org.mmsearch.neural;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.mmsearch.stats.StatsAction;
import org.mmsearch.stats.StatsRequest;
import org.mmsearch.stats.StatsResponse;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.admin.cluster.node.tasks.cancel.CancelTasksRequest;
import org.opensearch.action.search.MultiSearchRequest;
import org.opensearch.action.search.MultiSearchResponse;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.MediaType;
import org.opensearch.core.xcontent.ToXContent;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests a node with a faulty encoder: causes are distinguished, no search waits too long, and other searches are not affected. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class NeuralFaultsIT extends NeuralIT {

    private static final String NEURAL = "{\"query\": {\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 3}}}}";

    @Override
    public void setUp() throws Exception {
        super.setUp();
        createEncoded("products", 2, "f1");
        indexProducts("products", 20);
        set(Settings.builder().put("mmsearch.triton.breaker.pause", "100ms"));
    }

    public void testFiftyEqualQueriesAreOneCall() {
        for (int i = 0; i < 50; i++) {
            assertEquals("p7", ids(ask("products", NEURAL)).get(0));
        }
        assertEquals(1, triton.calls.size());
    }

    public void testFiftyEqualConcurrentQueriesAreOneCallWithTheCacheOff() {
        set(Settings.builder().put("mmsearch.cache.size", "0b"));
        CountDownLatch latch = hold();
        List<ActionFuture<SearchResponse>> all = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            all.add(client().search(asked("products", NEURAL)));
        }
        latch.countDown();
        for (ActionFuture<SearchResponse> one : all) {
            assertEquals("p7", ids(one.actionGet()).get(0));
        }
        assertEquals(1, triton.calls.size());
    }

    public void testOneCallForARequestThatSaysTheSameTwice() {
        ids(ask("products", """
            {"query": {"bool": {"should": [{"neural": {"v": {"query_text": "a"}}}, {"neural": {"v": {"query_text": "a", "k": 3}}}]}}}"""));
        assertEquals(1, triton.calls.size());
    }

    public void testOneCallForAMultiSearchThatSaysTheSameTwentyTimesWithTheCacheOff() {
        set(Settings.builder().put("mmsearch.cache.size", "0b"));
        // Sequentially, so that no two queries share a call.
        MultiSearchRequest twenty = new MultiSearchRequest().maxConcurrentSearchRequests(1);
        for (int i = 0; i < 20; i++) {
            twenty.add(asked("products", NEURAL));
        }
        for (MultiSearchResponse.Item item : client().multiSearch(twenty).actionGet()) {
            assertEquals("p7", ids(item.getResponse()).get(0));
        }
        assertEquals(1, triton.calls.size());
    }

    public void testKilledEncoder() throws Exception {
        int port = triton.port();
        assertEquals(Integer.valueOf(5), EncoderSettings.BREAKER_FAILURES.get(Settings.EMPTY));
        triton.close();
        for (int i = 0; i < 3; i++) {
            assertEquals(EncoderFailure.UNREACHABLE, failed(NEURAL).failure());
        }
        set(Settings.builder().put("mmsearch.triton.breaker.pause", "1m"));
        EncoderException open = failed(NEURAL);
        assertEquals(RestStatus.SERVICE_UNAVAILABLE, open.status());
        assertTrue(open.getMessage(), open.getMessage().startsWith("[neural] field [v]: the encoder cannot be reached"));
        assertEquals("open", endpoint().get("breaker"));
        // Searches without the encoder are not affected.
        assertEquals(20, ask("products", "{\"query\": {\"match\": {\"title\": \"chair\"}}}").getHits().getTotalHits().value());
        set(Settings.builder().put("mmsearch.triton.breaker.pause", "50ms"));
        triton = new StubTriton(port);
        assertBusy(() -> assertEquals("p7", healed()), 3, TimeUnit.SECONDS);
        assertEquals("closed", endpoint().get("breaker"));
    }

    /** The first hit, or the current encoder failure. */
    private String healed() {
        try {
            return ids(ask("products", NEURAL)).get(0);
        } catch (EncoderException e) {
            return e.getMessage();
        }
    }

    public void testStoppedEncoder() throws Exception {
        hold();
        set(Settings.builder().put("mmsearch.triton.timeout", "100ms"));
        EncoderException late = failed(NEURAL);
        assertEquals(EncoderFailure.DEADLINE, late.failure());
        assertEquals(RestStatus.GATEWAY_TIMEOUT, late.status());
        assertTrue(late.getMessage(), late.getMessage().contains("within 100 ms"));
        assertNothingInFlight();
    }

    public void testTheSearchsOwnTimeoutIsTheDeadlineWhereItIsShorter() throws Exception {
        hold();
        EncoderException late = failed("{\"timeout\": \"30ms\", " + NEURAL.substring(1));
        assertEquals(EncoderFailure.DEADLINE, late.failure());
        Matcher within = Pattern.compile("within (\\d+) ms").matcher(late.getMessage());
        // Time used earlier in the search is not available to the encoder.
        assertTrue(late.getMessage(), within.find() && Integer.parseInt(within.group(1)) <= 30);
    }

    public void testGarbageNaNAndWrongShapes() {
        set(Settings.builder().put("mmsearch.triton.breaker.failures", 1000));
        for (Behaviour bad : List.of(
            new Behaviour.Answer(asked -> new float[] { 1, Float.NaN }),
            new Behaviour.Answer(asked -> new float[] { 1, 2, 3 }),
            new Behaviour.Raw(new byte[] { 1, 2, 3, 4, 13, 10, 13, 10 }),
            new Behaviour.Status(500, "broken"),
            new Behaviour.Status(200, "{}")
        )) {
            triton.behave(bad);
            EncoderException e = failed(NEURAL);
            assertEquals(bad.toString(), RestStatus.BAD_GATEWAY, e.status());
            assertTrue(e.getMessage(), e.getMessage().contains("query_encoder"));
        }
        triton.behave(new Behaviour.Status(400, "{\"error\":\"the picture cannot be decoded\"}"));
        EncoderException refused = failed(NEURAL);
        assertEquals(RestStatus.BAD_REQUEST, refused.status());
        assertTrue(refused.getMessage(), refused.getMessage().contains("the picture cannot be decoded"));
    }

    public void testACancelledSearchClosesTheExchange() throws Exception {
        hold();
        ActionFuture<SearchResponse> search = client().search(asked("products", NEURAL));
        assertBusy(() -> assertEquals(1, triton.calls.size()));
        client().admin().cluster().cancelTasks(new CancelTasksRequest().setActions(SearchAction.NAME)).actionGet();
        Exception e = expectThrows(Exception.class, () -> search.actionGet(5, TimeUnit.SECONDS));
        assertTrue(ExceptionsHelper.stackTrace(e), ExceptionsHelper.stackTrace(e).contains("cancelled"));
        assertNothingInFlight();
    }

    public void testACancelledMultiSearchClosesItsExchanges() throws Exception {
        hold();
        MultiSearchRequest two = new MultiSearchRequest();
        two.add(asked("products", NEURAL)).add(asked("products", NEURAL.replace("a chair", "other")));
        ActionFuture<MultiSearchResponse> search = client().multiSearch(two);
        assertBusy(() -> assertEquals(2, triton.calls.size()));
        client().admin().cluster().cancelTasks(new CancelTasksRequest().setActions("indices:data/read/msearch")).actionGet();
        for (MultiSearchResponse.Item item : search.actionGet(5, TimeUnit.SECONDS)) {
            assertTrue(item.isFailure());
        }
        assertNothingInFlight();
    }

    public void testOneOfTwoWaitersLeaves() throws Exception {
        CountDownLatch latch = hold();
        ActionFuture<SearchResponse> stays = client().search(asked("products", NEURAL));
        EncoderException left = failed("{\"timeout\": \"50ms\", " + NEURAL.substring(1));
        assertEquals(EncoderFailure.DEADLINE, left.failure());
        latch.countDown();
        assertEquals("p7", ids(stays.actionGet()).get(0));
        assertEquals(1, triton.calls.size());
    }

    public void testOverload() throws Exception {
        set(Settings.builder().put("mmsearch.triton.max_in_flight", 1).put("mmsearch.triton.queue_size", 1));
        CountDownLatch latch = hold();
        ActionFuture<SearchResponse> first = client().search(asked("products", NEURAL));
        ActionFuture<SearchResponse> second = client().search(asked("products", NEURAL.replace("a chair", "chairs")));
        assertBusy(() -> assertEquals(1, encoder().get("queued")));
        assertEquals(RestStatus.TOO_MANY_REQUESTS, failed(NEURAL.replace("a chair", "third")).status());
        latch.countDown();
        assertEquals("p7", ids(first.actionGet()).get(0));
        assertEquals("p6", ids(second.actionGet()).get(0));
    }

    public void testNoSearchThreadWaitsForTriton() throws Exception {
        createEncoded("shelf", 1, "f1");
        indexProducts("shelf", 20);
        CountDownLatch latch = hold();
        List<ActionFuture<SearchResponse>> all = new ArrayList<>();
        // Alone, as a leg of a hybrid in one shard, and as a leg in rounds over two shards: 20 texts each.
        for (int i = 0; i < 60; i++) {
            String neural = NEURAL.replace("a chair", "x".repeat(i + 1));
            String hybrid = neural.replace("{\"query\": ", "{\"query\": {\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}, ")
                .replaceFirst("}$", "]}}}");
            String index = i % 3 == 1 ? "shelf" : "products";
            all.add(client().search(asked(index, i % 3 == 0 ? neural : hybrid)));
        }
        assertBusy(() -> assertEquals(60, triton.calls.size()));
        // All threads are checked twice: none has mmsearch on its stack.
        for (int look = 0; look < 2; look++) {
            assertBusy(() -> Thread.getAllStackTraces().forEach(NeuralFaultsIT::assertWaitsForNothingOfOurs));
        }
        // All search threads are free: another search succeeds more often than there are threads.
        for (int i = 0; i < 20; i++) {
            assertEquals(20, ask("products", "{\"query\": {\"match_all\": {}}}").getHits().getTotalHits().value());
        }
        latch.countDown();
        for (int i = 0; i < 60; i++) {
            List<String> ids = ids(all.get(i).actionGet());
            String nearest = "p" + Math.min(19, i + 1);
            // Longer texts have larger angles, without products.
            assertTrue(ids + " has " + nearest, i >= 20 || (i % 3 == 0 ? ids.get(0).equals(nearest) : ids.contains(nearest)));
        }
    }

    private static void assertWaitsForNothingOfOurs(Thread thread, StackTraceElement[] stack) {
        if (thread.getName().startsWith("stub-triton")) {
            return;
        }
        for (StackTraceElement frame : stack) {
            String in = frame.getClassName();
            boolean ours = in.startsWith("org.mmsearch.") && in.startsWith(NeuralFaultsIT.class.getName()) == false;
            assertFalse(thread.getName() + " stands in " + frame, ours);
        }
    }

    /** Disconnecting clients, whose searches REST cancels: no call remains in flight. */
    public void testManyCancelledSearchesLeaveNothingInFlight() throws Exception {
        set(Settings.builder().put("mmsearch.triton.max_in_flight", 20));
        CountDownLatch latch = hold();
        List<ActionFuture<SearchResponse>> all = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            all.add(client().search(asked("products", NEURAL.replace("a chair", "y".repeat(i + 1)))));
        }
        assertBusy(() -> assertEquals(80, encoder().get("queued")));
        client().admin().cluster().cancelTasks(new CancelTasksRequest().setActions(SearchAction.NAME)).actionGet();
        for (ActionFuture<SearchResponse> one : all) {
            expectThrows(Exception.class, () -> one.actionGet(10, TimeUnit.SECONDS));
        }
        assertNothingInFlight();
        assertEquals(0, encoder().get("queued"));
        latch.countDown();
        assertBusy(() -> assertEquals("the exchanges are closed", 0, triton.connections()));
    }

    public void testStatsReportIt() throws Exception {
        long hits = number("cache", "hits");
        long calls = ((Number) encoder().get("calls")).longValue();
        long bad = number("failures", "bad_answer");
        ask("products", NEURAL);
        ask("products", NEURAL);
        triton.behave(new Behaviour.Status(500, "broken"));
        failed(NEURAL.replace("a chair", "other"));
        assertEquals(hits + 1, number("cache", "hits"));
        assertEquals(calls + 2, ((Number) encoder().get("calls")).longValue());
        assertEquals(bad + 1, number("failures", "bad_answer"));
        assertTrue(((Number) ((Map<?, ?>) ((Map<?, ?>) encoder().get("latency")).get("encode")).get("p50_ms")).doubleValue() > 0);
    }

    private CountDownLatch hold() {
        CountDownLatch latch = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(latch, new Behaviour.Answer(asked -> StubTriton.vectorOf(asked.text()))));
        return latch;
    }

    private static EncoderException failed(String body) {
        Exception e = expectThrows(Exception.class, () -> ask("products", body));
        EncoderException cause = (EncoderException) ExceptionsHelper.unwrap(e, EncoderException.class);
        assertNotNull(ExceptionsHelper.stackTrace(e), cause);
        return cause;
    }

    private static void assertNothingInFlight() throws Exception {
        assertBusy(() -> {
            assertEquals(0, encoder().get("in_flight"));
            assertEquals(0, endpoint().get("in_flight"));
        });
    }

    private static Map<?, ?> encoder() {
        StatsResponse stats = client().execute(StatsAction.INSTANCE, new StatsRequest()).actionGet();
        try {
            BytesReference json = org.opensearch.core.xcontent.XContentHelper.toXContent(stats, XContentType.JSON, ToXContent.EMPTY_PARAMS, false);
            Map<String, Object> all = XContentHelper.convertToMap(json, false, (MediaType) XContentType.JSON).v2();
            return (Map<?, ?>) ((Map<?, ?>) ((Map<?, ?>) all.get("nodes")).values().iterator().next()).get("encoder");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static Map<?, ?> endpoint() {
        return (Map<?, ?>) ((List<?>) encoder().get("endpoints")).get(0);
    }

    private static long number(String group, String name) {
        return ((Number) ((Map<?, ?>) encoder().get(group)).get(name)).longValue();
    }
}
