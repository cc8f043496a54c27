package org.mmsearch.hybrid;

import java.util.Map;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.search.PutSearchPipelineRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesArray;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests that OpenSearch's search-pipeline processors, as users of the official plugin define them, set the fusion. */
public class HybridPipelinesIT extends MmsearchIT {

    private static final String WEIGHTED = """
        {"description": "classic", "phase_results_processors": [{"normalization-processor": {
           "tag": "t", "normalization": {"technique": "min_max"},
           "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.3, 0.7]}}}}],
         "response_processors": [{"hybrid_score_explanation": {}}]}""";
    private static final String RANKED = """
        {"phase_results_processors": [{"score-ranker-processor": {"combination": {"technique": "rrf", "rank_constant": 4}}}]}""";
    private static final String QUERY = """
        "query": {"hybrid": {"queries": [
          {"constant_score": {"filter": {"term": {"color": "red"}}}},
          {"constant_score": {"filter": {"term": {"color": "blue"}}}}]}}""";

    private void products(int shards, String index) {
        createProducts(index, shards, 2);
        client().prepareIndex(index).setId("r").setSource("{\"color\": \"red\"}", XContentType.JSON).get();
        client().prepareIndex(index).setId("b").setSource("{\"color\": \"blue\"}", XContentType.JSON).get();
        refresh(index);
    }

    private static void put(String id, String definition) {
        var request = new PutSearchPipelineRequest(id, new BytesArray(definition), XContentType.JSON);
        assertAcked(client().admin().cluster().putSearchPipeline(request).actionGet());
    }

    private static void useByDefault(String index, String pipeline) {
        Settings.Builder settings = Settings.builder().put("index.search.default_pipeline", pipeline);
        assertAcked(client().admin().indices().prepareUpdateSettings(index).setSettings(settings));
    }

    /** Each query finds one document, with 1; the weights make it 0.7 or 0.3. */
    private static void assertWeighted(SearchResponse response) {
        assertScores(response, Map.of("b", 0.7f, "r", 0.3f));
    }

    private static void assertScores(SearchResponse response, Map<String, Float> expected) {
        assertEquals(expected.size(), response.getHits().getHits().length);
        response.getHits().forEach(hit -> assertEquals(hit.getId(), expected.get(hit.getId()), hit.getScore(), 1e-6f));
    }

    public void testNamedByTheRequest() {
        put("weighted", WEIGHTED);
        put("ranked", RANKED);
        for (int shards : new int[] { 1, 3 }) {
            String index = "products" + shards;
            products(shards, index);
            SearchRequest weighted = asked(index, "{" + QUERY + "}").pipeline("weighted");
            assertWeighted(asker().search(weighted).actionGet());
            SearchRequest ranked = asked(index, "{" + QUERY + "}").pipeline("ranked");
            assertScores(asker().search(ranked).actionGet(), Map.of("b", 0.2f, "r", 0.2f));
            SearchRequest none = asked(index, "{" + QUERY + "}").pipeline("_none");
            assertScores(asker().search(none).actionGet(), Map.of("b", 0.5f, "r", 0.5f));
        }
    }

    public void testDefinedInTheRequest() {
        for (int shards : new int[] { 1, 3 }) {
            products(shards, "products" + shards);
            assertWeighted(ask("products" + shards, "{\"search_pipeline\": " + WEIGHTED + ", " + QUERY + "}"));
        }
    }

    public void testDefaultOfTheIndex() {
        put("weighted", WEIGHTED);
        products(3, "products");
        useByDefault("products", "weighted");
        assertWeighted(ask("products", "{" + QUERY + "}"));
        String clause = QUERY.replace("{\"hybrid\": {", "{\"hybrid\": {\"fusion\": {}, ");
        assertScores(ask("products", "{" + clause + "}"), Map.of("b", 0.5f, "r", 0.5f));
    }

    public void testIndicesThatDisagreeAreRefused() {
        put("weighted", WEIGHTED);
        put("ranked", RANKED);
        products(1, "old");
        products(1, "new");
        useByDefault("old", "weighted");
        useByDefault("new", "ranked");
        String message = failure("old,new", "{" + QUERY + "}");
        assertTrue(message, message.contains("expected its indices to agree on their default search pipeline"));
        assertEquals(0, asker().search(asked("old,new", "{" + QUERY + "}").pipeline("weighted")).actionGet().getFailedShards());
    }

    public void testWeightsMustFitTheQueries() {
        put("weighted", WEIGHTED);
        products(1, "products");
        SearchRequest three = asked("products", "{\"query\": {\"hybrid\": {\"queries\": [{\"match_all\": {}}]}}}").pipeline("weighted");
        Exception e = expectThrows(Exception.class, () -> asker().search(three).actionGet());
        assertTrue(e.toString(), e.toString().contains("expected as many weights as queries, 1, got 2"));
    }

    public void testDefinitionsAreCheckedWhenTheyArePut() {
        String wrong = RANKED.replace("rrf\", \"rank_constant\": 4", "arithmetic_mean\"").replace("mean\"\"", "mean\"");
        Exception e = expectThrows(Exception.class, () -> put("wrong", wrong));
        assertTrue(e.toString(), e.toString().contains("[score-ranker-processor] does not combine by [arithmetic_mean]"));
    }
}
