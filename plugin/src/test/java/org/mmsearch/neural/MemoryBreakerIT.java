package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.indices.breaker.CircuitBreakerService;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests that requests over the breaker's limit fail with 429, and that reserved memory is released for every outcome. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class MemoryBreakerIT extends NeuralIT {

    private static final String LIMIT = "breaker.mmsearch.limit";
    private static final int[] SHARDS = { 1, 3 };
    private static final int PRODUCTS = 20;

    @Override
    public void tearDown() throws Exception {
        limit(null);
        assertNothingHeld();
        super.tearDown();
    }

    /** The overhead, which OpenSearch sets to 2 if a limit is set at run time. */
    private static void limit(String bytes) {
        set(Settings.builder().put(LIMIT, bytes).put("breaker.mmsearch.overhead", bytes == null ? null : "1.0"));
    }

    private static CircuitBreaker breaker() {
        String node = internalCluster().getNodeNames()[0];
        return internalCluster().getInstance(CircuitBreakerService.class, node).getBreaker(MemoryBreaker.NAME);
    }

    private static void assertNothingHeld() throws Exception {
        assertBusy(() -> assertEquals("bytes held", 0, breaker().getUsed()), 30, TimeUnit.SECONDS);
    }

    private String products(int shards) {
        String index = "products" + shards;
        createEncoded(index, shards, "f1");
        indexProducts(index, PRODUCTS);
        return index;
    }

    private static String deep(int legs, String around) {
        String all = String.join(",", Collections.nCopies(legs, "{\"match_all\": {}}"));
        return "{\"query\": {\"hybrid\": {\"pagination_depth\": 10000, \"queries\": [" + all + "]}}" + around + "}";
    }

    private static void assertTooMuch(String index, String body) {
        Exception e = expectThrows(Exception.class, () -> ask(index, body));
        assertEquals(e.toString(), RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
        assertTrue(ExceptionsHelper.stackTrace(e).contains("[mmsearch] Data too large"));
    }

    public void testHybrids() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (String around : List.of("", ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}", ", \"min_score\": -1")) {
                // Ten legs of 20 hits in one shard need at least 10 * 20 * 40 bytes; over several shards, 10,000 hits per leg are assumed.
                limit("5000b");
                assertTooMuch(index, deep(10, around));
                assertNothingHeld();
                limit(null);
                assertEquals(10, ask(index, deep(10, around)).getHits().getHits().length);
                assertNothingHeld();
            }
        }
    }

    public void testManyAtOnce() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            // Room for a few: one needs 10 * 20 * (40 + 192) bytes in one shard, and 10 * 10,000 * (3 * 40 + 192) over three.
            limit(shards == 1 ? "100000b" : "70000000b");
            List<ActionFuture<SearchResponse>> all = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                all.add(asker().search(asked(index, deep(10, ""))));
            }
            int answered = 0;
            for (ActionFuture<SearchResponse> one : all) {
                try {
                    assertEquals(10, one.actionGet().getHits().getHits().length);
                    answered++;
                } catch (Exception e) {
                    assertEquals(e.toString(), RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
                }
            }
            assertTrue("some are answered", answered > 0);
            assertNothingHeld();
        }
    }

    public void testPictures() throws Exception {
        String index = products(1);
        String gif = "R0lGODlhAgADAAAAAA==";
        String body = "{\"query\": {\"neural\": {\"v\": {\"query_image\": \"" + gif + "\"}}}}";
        // 15 bytes of base64, twice.
        limit("29b");
        assertTooMuch(index, body);
        assertEquals("nothing is encoded", 0, triton.calls.size());
        limit("30b");
        assertEquals(10, ask(index, body).getHits().getHits().length);
        assertNothingHeld();
        // Rejected without encoding.
        failure(index, body.replace(gif, "bm8gcGljdHVyZQ=="));
        assertNothingHeld();
        triton.close();
        expectThrows(Exception.class, () -> ask(index, body.replace("R0lGODlhAgADAAAAAA==", "R0lGODlhAwADAAAAAA==")));
        assertNothingHeld();
    }
}
