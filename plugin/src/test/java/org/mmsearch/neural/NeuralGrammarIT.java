package org.mmsearch.neural;

import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadPoolExecutor;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.action.search.PutSearchPipelineRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.search.aggregations.bucket.terms.Terms;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.threadpool.ThreadPool;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests every key of the neural clause on a real node. Product {@code pN} and a text of N letters have the angle N/10. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class NeuralGrammarIT extends NeuralIT {

    private static final String GIF = Base64.getEncoder().encodeToString(new byte[] { 'G', 'I', 'F', '8', '9', 'a', 2, 0, 3, 0 });

    @Override
    public void setUp() throws Exception {
        super.setUp();
        createEncoded("products", 1, "f1");
        indexProducts("products", 20);
    }

    public void testMinScore() {
        // k-NN scores cosine as (1 + cos) / 2: within 0.15 of the angle means at least (1 + cos 0.15) / 2.
        double least = (1 + Math.cos(0.15)) / 2;
        assertEquals(Set.of("p6", "p7", "p8"), found("\"query_text\": \"a chair\", \"min_score\": " + least));
    }

    public void testMaxDistance() {
        double most = 1 - Math.cos(0.15);
        assertEquals(Set.of("p6", "p7", "p8"), found("\"query_text\": \"a chair\", \"max_distance\": " + most));
    }

    public void testMethodParametersAndRescoreReachKnn() {
        assertEquals(Set.of("p7"), found("\"query_text\": \"a chair\", \"k\": 1, \"method_parameters\": {\"ef_search\": 50}"));
        String wrong = failure("products", query("\"query_text\": \"a chair\", \"method_parameters\": {\"ef_search\": -1}"));
        assertTrue(wrong, wrong.contains("ef_search"));
        String rescore = failure("products", query("\"query_text\": \"a chair\", \"rescore\": {\"oversample_factor\": 0.5}"));
        assertTrue(rescore, rescore.contains("errors in rescore parameter"));
    }

    public void testBoostAndName() {
        SearchResponse plain = ask("products", query("\"query_text\": \"a chair\", \"k\": 1"));
        SearchResponse boosted = ask("products", query("\"query_text\": \"a chair\", \"k\": 1, \"boost\": 3, \"_name\": \"dense\""));
        assertEquals(3 * plain.getHits().getMaxScore(), boosted.getHits().getMaxScore(), 1e-5f);
        assertArrayEquals(new String[] { "dense" }, boosted.getHits().getAt(0).getMatchedQueries());
    }

    public void testTextAndPictureAreOneCall() {
        found("\"query_text\": \"red\", \"query_image\": \"" + GIF + "\"");
        assertEquals(1, triton.calls.size());
        assertEquals("red", triton.calls.get(0).text());
        assertEquals(10, triton.calls.get(0).image().length);
    }

    /** Tests that an image is rejected before a call to Triton; only the pool has worked. */
    public void testPicturesAreDecodedOnAThreadOfTheirOwn() {
        ThreadPool threads = internalCluster().getInstance(ThreadPool.class, internalCluster().getNodeNames()[0]);
        long before = completed(threads);
        String refused = failure("products", query("\"query_image\": \"bm8gcGljdHVyZQ==\""));
        assertTrue(refused, refused.contains("[neural] query_image: expected a JPEG, PNG, WebP or GIF image"));
        assertEquals(0, triton.calls.size());
        assertEquals(before + 1, completed(threads));
    }

    private static long completed(ThreadPool threads) {
        ThreadPoolExecutor pool = (ThreadPoolExecutor) threads.executor("mmsearch");
        // The pool counts a task shortly after its response.
        while (pool.getActiveCount() > 0) {
            Thread.onSpinWait();
        }
        return pool.getCompletedTaskCount();
    }

    public void testQueryImageWeightBlendsTwoUnitVectors() {
        // The text has the angle 0.4, the image 1.0; with equal weights, the query has 0.7.
        triton.behave(new StubTriton.Behaviour.Answer(asked -> StubTriton.vectorOf(asked.image().length > 0 ? "x".repeat(10) : asked.text())));
        assertEquals("p7", first("\"query_text\": \"four\", \"query_image\": \"" + GIF + "\", \"query_image_weight\": 0.5"));
        assertEquals(2, triton.calls.size());
        assertEquals("p4", first("\"query_text\": \"four\", \"query_image\": \"" + GIF + "\", \"query_image_weight\": 0"));
        assertEquals("p10", first("\"query_text\": \"four\", \"query_image\": \"" + GIF + "\", \"query_image_weight\": 1"));
    }

    /** Vectors of a text part and an image part, of one number each: weights turn the query's angle a to atan(w / (1 - w) * tan a). */
    public void testTextToImageWeighsTheVectorOfATextAlone() {
        createEncoded("parts", 1, "f1");
        indexProducts("parts", 16);
        String three = "\"query_text\": \"a chair\", \"k\": 1";
        assertEquals("p7", firstOf("parts", three));
        sayTextToImage("parts", "{\"text_dimension\": 1, \"weight\": 0.25}");
        // atan(tan(.7) / 3) = .274
        assertEquals("p3", firstOf("parts", three));
        assertEquals("a clause says it otherwise", "p7", firstOf("parts", three + ", \"text_to_image\": 0.5"));
        // atan(3 tan(.7)) = 1.194
        assertEquals("p12", firstOf("parts", three + ", \"text_to_image\": 0.75"));
        assertEquals("p0", firstOf("parts", three + ", \"text_to_image\": 0"));
        // A document and a picture are compared as they are.
        assertEquals(Set.of("p6", "p8"), Set.copyOf(ids("parts", clause("\"like\": {\"_id\": \"p7\"}, \"k\": 2"))));
        triton.behave(new StubTriton.Behaviour.Answer(asked -> StubTriton.vectorOf("x".repeat(7))));
        assertEquals("p7", firstOf("parts", "\"query_image\": \"" + GIF + "\", \"k\": 1"));
        assertEquals("p7", firstOf("parts", "\"query_image\": \"" + GIF + "\", \"query_text\": \"ab\", \"k\": 1"));
    }

    public void testTextToImageOfIndicesThatDifferIsTheMean() {
        createEncoded("low", 1, "f1");
        createEncoded("high", 1, "f1");
        indexProducts("low", 16);
        sayTextToImage("low", "{\"text_dimension\": 1, \"weight\": 0.1}");
        sayTextToImage("high", "{\"text_dimension\": 1, \"weight\": 0.4}");
        // Their mean is a quarter: p3, as above.
        assertEquals("p3", ids("low,high".split(","), clause("\"query_text\": \"a chair\", \"k\": 1")).get(0));
    }

    public void testTextToImageNeedsVectorsOfTwoParts() {
        String refused = failure("products", query("\"query_text\": \"a chair\", \"text_to_image\": 0.2"));
        assertTrue(refused, refused.contains("[neural] expected text_to_image on a field whose vectors have a part for the text"));
        sayTextToImage("products", "{\"text_dimension\": 1, \"weight\": 0.2}");
        String other = "{\"query\": {\"nested\": {\"path\": \"images\", \"query\": {\"neural\": {\"images.v\": {"
            + "\"query_text\": \"a\", \"text_to_image\": 0.2}}}}}}";
        assertTrue(failure("products", other), failure("products", other).contains("does not say of [images.v]"));
    }

    private static String clause(String body) {
        return "{\"neural\": {\"v\": {" + body + "}}}";
    }

    private static String firstOf(String index, String body) {
        return ids(index, clause(body)).get(0);
    }

    private static List<String> ids(String[] indices, String query) {
        return ids(client().search(request(indices[0], query).indices(indices)).actionGet());
    }

    /** Adds to the mapping's {@code _meta} what an ingest has measured. */
    @SuppressWarnings("unchecked")
    private static void sayTextToImage(String index, String said) {
        Map<String, Object> mapping = client().admin().indices().prepareGetMappings(index).get().mappings().get(index).sourceAsMap();
        Map<String, Object> meta = (Map<String, Object>) mapping.get("_meta");
        ((Map<String, Object>) meta.get("mmsearch")).put("text_to_image", XContentHelper.convertToMap(JsonXContent.jsonXContent, said, false));
        assertAcked(client().admin().indices().preparePutMapping(index).setSource(Map.of("_meta", meta)));
    }

    public void testACutoffIsByTheScoresWithoutTheBoost() {
        // The best hit has 1, those at 0.1 and 0.2 from it (1 + cos) / 2, at least 0.99; the next, at 0.3, has 0.978.
        for (String by : List.of("\"relative_max\": 0.985", "\"gap\": 0.0101", "\"min_score\": 0.985")) {
            String cut = "\"query_text\": \"a chair\", \"k\": 20, \"cutoff\": {" + by + "}";
            Set<String> plain = found(cut);
            assertEquals(by, Set.of("p5", "p6", "p7", "p8", "p9"), plain);
            for (String boost : List.of("3", "0.5")) {
                assertEquals(by + " boosted by " + boost, plain, found(cut + ", \"boost\": " + boost));
                // Without scores, and with another boost.
                String boosted = query(cut + ", \"boost\": " + boost);
                assertEquals(5, ask("products", boosted.replace("\"size\": 20", "\"size\": 0")).getHits().getTotalHits().value());
                String clause = boosted.substring(boosted.indexOf("{\"neural"), boosted.lastIndexOf('}'));
                String around = "{\"query\": {\"bool\": {\"must\": [" + clause + "], \"boost\": 4}}}";
                assertEquals(5, ask("products", around).getHits().getHits().length);
            }
        }
    }

    public void testNegativeTextWithWeight() {
        // At 0.5 minus half of the vector at 0.9: the angle is atan2(sin .5 - .5 sin .9, cos .5 - .5 cos .9) = 0.155.
        assertEquals("p5", first("\"query_text\": \"fives\""));
        assertEquals("p2", first("\"query_text\": \"fives\", \"negative_text\": \"ninechars\""));
        // Minus 0.25 of it: 0.379.
        assertEquals("p4", first("\"query_text\": \"fives\", \"negative_text\": {\"text\": \"ninechars\", \"weight\": 0.25}"));
        String nothing = failure("products", query("\"query_text\": \"fives\", \"negative_text\": {\"text\": \"fives\", \"weight\": 1}"));
        assertTrue(nothing, nothing.contains("cancel each other out"));
    }

    public void testLikeADocument() {
        assertEquals(List.of("p6", "p8"), order("\"like\": {\"_id\": \"p7\"}, \"k\": 2").stream().sorted().toList());
        assertEquals("nothing is encoded", 0, triton.calls.size());
        assertEquals(Set.of("p6", "p8"), found("\"like\": {\"_id\": \"p7\", \"_index\": \"products\"}, \"k\": 2"));
        assertEquals(
            Set.of("p5", "p9"),
            found("\"like\": {\"_id\": \"p7\"}, \"k\": 2, \"filter\": {\"term\": {\"color\": \"blue\"}}")
        );
    }

    public void testLikeThisOneBut() {
        // The document at 0.3 and the text at 0.9 have equal weights, so the query has 0.6.
        assertEquals("p6", first("\"like\": {\"_id\": \"p3\"}, \"query_text\": \"ninechars\""));
        assertEquals("p4", first("\"like\": {\"_id\": \"p3\", \"weight\": 5}, \"query_text\": \"ninechars\""));
    }

    public void testLikeWithoutAVector() {
        client().prepareIndex("products").setId("bare").setSource("{\"title\": \"x\"}", XContentType.JSON).setRefreshPolicy(now()).get();
        assertTrue(failure("products", query("\"like\": {\"_id\": \"bare\"}")).contains("has no vector in [v]"));
        assertTrue(failure("products", query("\"like\": {\"_id\": \"none\"}")).contains("there is no document [products/none]"));
    }

    public void testLikeNeedsAnIndexAmongSeveral() {
        createEncoded("more", 1, "f1");
        assertTrue(failure("products,more", query("\"like\": {\"_id\": \"p7\"}")).contains("like requires _index"));
        assertEquals("p6", order("products,more", "\"like\": {\"_id\": \"p5\", \"_index\": \"products\"}, \"query_text\": \"chairs\"").get(0));
    }

    public void testCutoff() {
        assertEquals(Set.of("p6", "p7", "p8"), found("\"query_text\": \"a chair\", \"cutoff\": {\"min_score\": " + (1 + Math.cos(0.15)) / 2 + "}"));
        assertEquals(Set.of("p6", "p7", "p8"), found("\"query_text\": \"a chair\", \"cutoff\": {\"relative_max\": " + (1 + Math.cos(0.15)) / 2 + "}"));
        assertEquals("nothing relevant, nothing returned", Set.of(), found("\"query_text\": \"a chair\", \"cutoff\": {\"min_score\": 1.5}"));
    }

    public void testCutoffAtAGapAndItsFacets() {
        for (int i = 2; i < 20; i++) {
            client().prepareDelete("products", "p" + i).get();
        }
        client().prepareIndex("products").setId("far").setSource("{\"color\": \"green\", \"v\": [-1, 0.1]}", XContentType.JSON).setRefreshPolicy(now()).get();
        SearchResponse response = ask("products", """
            {"query": {"neural": {"v": {"query_text": "a", "cutoff": {"gap": 0.2}}}},
             "aggs": {"colors": {"terms": {"field": "color"}}}}""");
        assertEquals(Set.of("p0", "p1"), Set.copyOf(ids(response)));
        assertEquals(2, response.getHits().getTotalHits().value());
        Terms colors = response.getAggregations().get("colors");
        assertNull(colors.getBucketByKey("green"));
    }

    public void testModelIdTakesThePlaceOfTheIndexs() {
        found("\"query_text\": \"a\", \"model_id\": \"other:3\"");
        assertEquals("/v2/models/other/versions/3/infer", triton.calls.get(0).path());
        assertTrue(failure("products", query("\"query_text\": \"a\", \"model_id\": \"../../x\"")).contains("the encoder's model must be"));
    }

    public void testAFieldWithoutAnEncoderNeedsAModelId() {
        String unknown = failure("products", "{\"query\": {\"neural\": {\"bare\": {\"query_text\": \"a\"}}}}");
        assertTrue(unknown, unknown.contains("[neural] expected the encoder of field [bare] in _meta.mmsearch.fields.bare"));
        assertEquals("p3", ids(ask("products", "{\"query\": {\"neural\": {\"bare\": {\"query_text\": \"abc\", \"model_id\": \"m\"}}}}")).get(0));
        assertEquals("/v2/models/m/infer", triton.calls.get(0).path());
    }

    public void testFieldsThatAreNoVectors() {
        assertTrue(failure("products", "{\"query\": {\"neural\": {\"title\": {\"query_text\": \"a\"}}}}").contains("must be a knn_vector, got text"));
        assertTrue(failure("products", "{\"query\": {\"neural\": {\"none\": {\"query_text\": \"a\"}}}}").contains("has no such field"));
    }

    public void testIndicesThatDisagree() {
        createEncoded("other", 1, "f2");
        client().admin().indices().prepareAliases().addAlias(new String[] { "products", "other" }, "both").get();
        String message = failure("both", query("\"query_text\": \"a\""));
        assertTrue(message, message.contains("expected the same encoder of field [") && message.contains("f1") && message.contains("f2"));
    }

    public void testAliasOfIndicesThatAgree() {
        createEncoded("other", 1, "f1");
        client().admin().indices().prepareAliases().addAlias(new String[] { "products", "other" }, "both").get();
        assertEquals("p7", order("both", "\"query_text\": \"a chair\"").get(0));
        assertEquals(1, triton.calls.size());
    }

    public void testPicturesAreCheckedBeforeTritonSeesThem() {
        String big = Base64.getEncoder().encodeToString(new byte[] { 'G', 'I', 'F', '8', '9', 'a', -1, -1, -1, -1 });
        assertTrue(failure("products", query("\"query_image\": \"" + big + "\"")).contains("65535 x 65535"));
        assertTrue(failure("products", query("\"query_image\": \"AAAA\"")).contains("expected a JPEG, PNG, WebP or GIF image"));
        assertTrue(failure("products", query("\"query_image\": \"!!\"")).contains("in base64"));
        set(Settings.builder().put("mmsearch.image.max_bytes", "5b"));
        assertTrue(failure("products", query("\"query_image\": \"" + GIF + "\"")).contains("at most 5b"));
        assertEquals(0, triton.calls.size());
    }

    public void testDataUri() {
        found("\"query_image\": \"data:image/gif;base64," + GIF + "\"");
        assertEquals(10, triton.calls.get(0).image().length);
    }

    public void testNestedVectors() {
        client().prepareIndex("products").setId("n").setSource(
            "{\"title\": \"two pictures\", \"images\": [{\"v\": [1, 0]}, {\"v\": [0, 1]}]}", XContentType.JSON
        ).setRefreshPolicy(now()).get();
        SearchResponse response = ask("products", """
            {"query": {"nested": {"path": "images", "inner_hits": {"_source": false}, "score_mode": "max",
               "query": {"neural": {"images.v": {"query_text": "x", "k": 5, "expand_nested_docs": true}}}}}}""");
        assertEquals(List.of("n"), ids(response));
        assertEquals(2, response.getHits().getAt(0).getInnerHits().get("images").getHits().length);
        assertEquals("IMAGE_EMBEDDING", ((Map<?, ?>) ((List<?>) triton.calls.get(0).header().get("outputs")).get(0)).get("name"));
        SearchResponse like = ask("products", """
            {"query": {"nested": {"path": "images", "query": {"neural": {"images.v": {"like": {"_id": "n"}}}}}}}""");
        assertEquals("itself is left out of a nested query too", List.of(), ids(like));
    }

    public void testCutoffOnNestedVectors() {
        client().prepareIndex("products").setId("n").setSource(
            "{\"title\": \"two pictures\", \"images\": [{\"v\": [1, 0]}, {\"v\": [0, 1]}]}", XContentType.JSON
        ).setRefreshPolicy(now()).get();
        String nested = "{\"query\": {\"nested\": {\"path\": \"images\", \"query\": {\"neural\": {\"images.v\": {\"query_text\": \"x\", \"cutoff\": %s}}}}}}";
        assertEquals(List.of("n"), ids(ask("products", nested.formatted("{\"min_score\": 0.5}"))));
        assertEquals(List.of(), ids(ask("products", nested.formatted("{\"min_score\": 1.5}"))));
        for (String relative : List.of("{\"relative_max\": 0.5}", "{\"gap\": 0.5, \"min_score\": 0.1}")) {
            String message = failure("products", nested.formatted(relative));
            assertTrue(message, message.contains("[neural] expected a [cutoff] with only [min_score] on a field of nested documents"));
        }
    }

    public void testEnricher() {
        client().admin().cluster().putSearchPipeline(new PutSearchPipelineRequest("enrich", new BytesArray("""
            {"request_processors": [{"neural_query_enricher": {"default_model_id": "d:4", "neural_field_default_id": {"v": "mine:9"}}}]}"""),
            XContentType.JSON)).actionGet();
        client().search(asked("products", """
            {"query": {"bool": {"should": [{"neural": {"v": {"query_text": "a"}}}, {"neural": {"bare": {"query_text": "a"}}},
              {"neural": {"v": {"query_text": "b", "model_id": "own:1"}}}]}}}""").pipeline("enrich")).actionGet();
        assertEquals(
            Set.of("/v2/models/mine/versions/9/infer", "/v2/models/d/versions/4/infer", "/v2/models/own/versions/1/infer"),
            Set.copyOf(triton.calls.stream().map(StubTriton.Asked::path).toList())
        );
    }

    private static String query(String keys) {
        return "{\"size\": 20, \"query\": {\"neural\": {\"v\": {" + keys + "}}}}";
    }

    private static List<String> order(String index, String keys) {
        return ids(ask(index, query(keys)));
    }

    private static List<String> order(String keys) {
        return order("products", keys);
    }

    private static Set<String> found(String keys) {
        return Set.copyOf(order(keys));
    }

    private static String first(String keys) {
        return order(keys).get(0);
    }
}
