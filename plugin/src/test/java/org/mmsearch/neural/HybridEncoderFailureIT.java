package org.mmsearch.neural;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.search.SearchHit;

/** Tests that a hybrid reports a failing encoder and returns hits without that leg only if requested. */
public class HybridEncoderFailureIT extends NeuralIT {

    private static final String LEXICAL = "{\"match\": {\"title\": {\"query\": \"chair\", \"_name\": \"lexical\"}}}";
    private static final String DENSE = "{\"neural\": {\"v\": {\"query_text\": \"xxx\", \"k\": 2, \"_name\": \"dense\"}}}";
    private static final String WEIGHTS = ", \"fusion\": {\"combination\": {\"parameters\": {\"weights\": [0.2, 0.8]}}}";

    private static String hybrid(String rest) {
        return "{\"hybrid\": {\"queries\": [" + LEXICAL + "," + DENSE + "]" + rest + "}}";
    }

    private static Object ext(SearchResponse response) {
        Map<String, Object> json = XContentHelper.convertToMap(XContentType.JSON.xContent(), response.toString(), false);
        return json.get("ext");
    }

    public void testWorkingEncoderFillsItsLeg() {
        for (int shards : new int[] { 1, 3 }) {
            createEncoded("products" + shards, shards, "f1");
            indexProducts("products" + shards, 6);
            SearchResponse response = client().search(request("products" + shards, hybrid(WEIGHTS))).actionGet();
            assertNull(ext(response));
            SearchHit nearest = Arrays.stream(response.getHits().getHits()).filter(hit -> hit.getId().equals("p3")).findFirst().orElseThrow();
            Map<?, ?> dense = (Map<?, ?>) nearest.field("_legs").getValues().get(1);
            assertEquals("dense", dense.get("name"));
            assertEquals(1, dense.get("rank"));
            assertEquals(1f, dense.get("normalized"));
        }
    }

    public void testFailsByDefault() throws IOException {
        createEncoded("products", 3, "f1");
        indexProducts("products", 6);
        triton.behave(new Behaviour.Status(500, "{\"error\": \"out of memory\"}"));
        Exception e = expectThrows(Exception.class, () -> client().search(request("products", hybrid(""))).actionGet());
        assertTrue(ExceptionsHelper.status(e).toString(), ExceptionsHelper.status(e).getStatus() >= 502);
    }

    public void testSkipAnswersWithTheOthersAndSaysSo() throws IOException {
        for (int shards : new int[] { 1, 3 }) {
            createEncoded("products" + shards, shards, "f1");
            indexProducts("products" + shards, 6);
        }
        triton.behave(new Behaviour.Status(500, "{\"error\": \"out of memory\"}"));
        for (int shards : new int[] { 1, 3 }) {
            String skip = hybrid(WEIGHTS + ", \"on_encoder_failure\": \"skip\"");
            SearchResponse response = client().search(request("products" + shards, skip)).actionGet();
            assertEquals(6, response.getHits().getTotalHits().value());
            // The remaining weight is 1, and so is the best normalized score.
            assertEquals(1f, response.getHits().getMaxScore(), 1e-6f);
            assertEquals("lexical", ((Map<?, ?>) response.getHits().getAt(0).field("_legs").getValues().get(0)).get("name"));
            List<?> degraded = (List<?>) ((Map<?, ?>) ((Map<?, ?>) ext(response)).get("mmsearch")).get("degraded");
            assertEquals(1, degraded.size());
            assertEquals("dense", ((Map<?, ?>) degraded.get(0)).get("leg"));
            assertFalse(((Map<?, ?>) degraded.get(0)).get("reason").toString().isEmpty());
        }
    }

    public void testSkipFailsWhenNothingIsLeft() throws IOException {
        createEncoded("products", 1, "f1");
        indexProducts("products", 3);
        triton.behave(new Behaviour.Status(500, "{}"));
        String only = "{\"hybrid\": {\"queries\": [" + DENSE + "], \"on_encoder_failure\": \"skip\"}}";
        Exception e = expectThrows(Exception.class, () -> client().search(request("products", only)).actionGet());
        assertTrue(ExceptionsHelper.status(e).toString(), ExceptionsHelper.status(e).getStatus() >= 502);
    }

    public void testSkipDoesNotHideTheCallersMistake() {
        createEncoded("products", 1, "another");
        indexProducts("products", 3);
        String skip = hybrid(", \"on_encoder_failure\": \"skip\"");
        Exception e = expectThrows(Exception.class, () -> client().search(request("products", skip)).actionGet());
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    }
}
