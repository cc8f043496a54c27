package org.mmsearch.neural;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.mmsearch.stats.StatsAction;
import org.mmsearch.stats.StatsRequest;
import org.mmsearch.stats.StatsResponse;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.MediaType;
import org.opensearch.core.xcontent.ToXContent;

/** Tests that a text without a word known to the encoder is ignored and reported. */
public class UnreadableTextIT extends NeuralIT {

    private static final String GIF = "R0lGODlhAQABAAAAACw=";
    private static final String SOFA = "ソファ";
    private static final String LEFT_OUT = " is left out, because the encoder query_encoder:1 knows no word of it";

    @Override
    public void setUp() throws Exception {
        super.setUp();
        // The message of the served encoder.
        Behaviour refused = new Behaviour.Status(
            400,
            "{\"error\":\"unreadable_text: in row 0: expected a text with words that the text tower knows, got none; send a picture alone, "
                + "or serve a model of that language\"}"
        );
        Behaviour answered = new Behaviour.Answer(
            asked -> StubTriton.vectorOf(asked.text().isEmpty() && asked.image().length > 0 ? "x".repeat(5) : asked.text())
        );
        triton.behave(asked -> asked.text().equals(SOFA) ? refused : answered);
        for (int shards : new int[] { 1, 3 }) {
            createEncoded("products" + shards, shards, "f1");
            indexProducts("products" + shards, 8);
        }
    }

    private static String neural(String keys) {
        return "{\"neural\": {\"v\": {" + keys + ", \"k\": 1}}}";
    }

    private static String hybrid(String rest, String... queries) {
        return "{\"hybrid\": {\"queries\": [" + String.join(",", queries) + "]" + rest + "}}";
    }

    private static SearchResponse ask(int shards, String query) {
        return client().search(request("products" + shards, query)).actionGet();
    }

    private static Exception failure(String query) {
        return expectThrows(Exception.class, () -> ask(1, query));
    }

    private static List<String> degraded(SearchResponse response) {
        Map<String, Object> json = XContentHelper.convertToMap(XContentType.JSON.xContent(), response.toString(), false);
        List<String> found = new ArrayList<>();
        if (json.get("ext") instanceof Map<?, ?> ext) {
            for (Object leg : (List<?>) ((Map<?, ?>) ext.get("mmsearch")).get("degraded")) {
                found.add(((Map<?, ?>) leg).get("leg") + ": " + ((Map<?, ?>) leg).get("reason"));
            }
        }
        return found;
    }

    private static long unreadable() throws IOException {
        StatsResponse stats = client().execute(StatsAction.INSTANCE, new StatsRequest()).actionGet();
        BytesReference json = org.opensearch.core.xcontent.XContentHelper.toXContent(stats, XContentType.JSON, ToXContent.EMPTY_PARAMS, false);
        Map<String, Object> all = XContentHelper.convertToMap(json, false, (MediaType) XContentType.JSON).v2();
        return ((Map<?, ?>) all.get("nodes")).values().stream().mapToLong(node -> {
            Map<?, ?> failures = (Map<?, ?>) ((Map<?, ?>) ((Map<?, ?>) node).get("encoder")).get("failures");
            return ((Number) failures.get("unreadable")).longValue();
        }).sum();
    }

    public void testNeuralIsRefusedInASentence() throws IOException {
        long before = unreadable();
        Exception e = failure(neural("\"query_text\": \"" + SOFA + "\""));
        EncoderException encoder = (EncoderException) ExceptionsHelper.unwrap(e, EncoderException.class);
        assertEquals(EncoderFailure.UNREADABLE, encoder.failure());
        assertEquals(RestStatus.BAD_REQUEST, encoder.status());
        assertEquals(
            "[neural] field [v]: expected a text with words that the encoder query_encoder:1 knows, got none; add a picture, or serve a "
                + "model of that language",
            encoder.getMessage()
        );
        String inside = "{\"bool\": {\"must\": [" + neural("\"query_text\": \"" + SOFA + "\"") + "]}}";
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(failure(inside)));
        assertEquals(2, unreadable() - before);
    }

    public void testLegOfAHybridIsLeftOutAndNamed() {
        String words = "{\"match\": {\"title\": {\"query\": \"chair\", \"_name\": \"words\"}}}";
        String dense = neural("\"query_text\": \"" + SOFA + "\"");
        String weights = ", \"fusion\": {\"combination\": {\"parameters\": {\"weights\": [0.2, 0.8]}}}";
        for (int shards : new int[] { 1, 3 }) {
            for (String how : new String[] { "", ", \"on_encoder_failure\": \"skip\"" }) {
                SearchResponse response = ask(shards, hybrid(weights + how, words, dense));
                assertEquals(8, response.getHits().getTotalHits().value());
                assertEquals(1f, response.getHits().getMaxScore(), 1e-6f);
                List<String> degraded = degraded(response);
                assertEquals(degraded.toString(), 1, degraded.size());
                assertTrue(degraded.get(0), degraded.get(0).startsWith("1: [neural] field [v]: expected a text with words that the encoder"));
            }
            // Every position of the text in the leg.
            SearchResponse inside = ask(shards, hybrid("", words, "{\"bool\": {\"_name\": \"deep\", \"must\": [" + dense + "]}}"));
            assertTrue(degraded(inside).toString(), degraded(inside).get(0).startsWith("deep: [neural] field [v]"));
        }
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(failure(hybrid("", dense))));
    }

    public void testOtherFailuresStillFailTheHybrid() throws IOException {
        String words = "{\"match\": {\"title\": \"chair\"}}";
        String unread = neural("\"query_text\": \"" + SOFA + "\"");
        String uneven = ", \"on_encoder_failure\": \"skip\", \"fusion\": {\"combination\": {\"parameters\": {\"weights\": [0.5, 0.5]}}}";
        Exception weights = failure(hybrid(uneven, words, unread, words));
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(weights));
        assertTrue(weights.getMessage(), weights.getMessage().contains("expected as many weights as queries, 3, got 2"));
        triton.behave(asked -> asked.text().equals(SOFA)
            ? new Behaviour.Status(400, "{\"error\":\"unreadable_text: in row 0: no words\"}")
            : new Behaviour.Status(500, "{}"));
        assertEquals(RestStatus.BAD_GATEWAY, ExceptionsHelper.status(failure(hybrid("", unread, neural("\"query_text\": \"red\""), words))));
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(failure(hybrid("", unread))));
    }

    public void testTheOtherPartsOfAQueryAreItsVector() {
        String sofa = "\"query_text\": \"" + SOFA + "\"";
        String picture = ", \"query_image\": \"" + GIF + "\"";
        Map<String, String> left = Map.of(
            neural(sofa + picture), "v: query_text" + LEFT_OUT,
            neural(sofa + picture + ", \"query_image_weight\": 0.3"), "v: query_text" + LEFT_OUT,
            neural(sofa + picture + ", \"_name\": \"looks\""), "looks: query_text" + LEFT_OUT,
            neural(sofa + ", \"like\": {\"_id\": \"p4\"}"), "v: query_text" + LEFT_OUT,
            neural("\"query_text\": \"xxxxx\", \"negative_text\": \"" + SOFA + "\""), "v: negative_text" + LEFT_OUT
        );
        for (Map.Entry<String, String> one : left.entrySet()) {
            SearchResponse response = ask(1, one.getKey());
            // The document of `like` is left out; its neighbors have the same distance.
            String first = ids(response).get(0);
            assertTrue(one.getKey() + first, first.equals("p5") || one.getKey().contains("like") && first.equals("p3"));
            assertEquals(List.of(one.getValue()), degraded(response));
        }
        SearchResponse leg = ask(3, hybrid("", "{\"match\": {\"title\": \"lamp\"}}", neural(sofa + picture + ", \"_name\": \"looks\"")));
        assertEquals(List.of("looks: query_text" + LEFT_OUT), degraded(leg));
        assertEquals("p5", ids(leg).get(0));
        String away = neural(sofa + ", \"negative_text\": \"red\"");
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(failure(away)));
        assertEquals(List.of(), degraded(ask(1, neural("\"query_text\": \"xxxxx\""))));
    }

    public void testLettersOfEveryWidthAreOneQuery() {
        assertEquals(List.of("p5"), ids(ask(1, neural("\"query_text\": \"ＣＨＡＩＲ\""))));
        assertEquals("CHAIR", triton.calls.get(triton.calls.size() - 1).text());
        // Equal inputs share a cache entry.
        assertEquals(EncoderInput.of("CHAIR", null), EncoderInput.of("ＣＨＡＩＲ", null));
    }
}
