package org.mmsearch.neural;

import java.util.List;
import java.util.Set;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.ExceptionsHelper;
import org.opensearch.action.fieldcaps.FieldCapabilitiesRequest;
import org.opensearch.action.search.PutSearchPipelineRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/**
 * Tests requests of third-party clients with a neural clause, on one shard and on three. Product {@code pN} and a text of N letters have
 * the angle N/10.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class ClientRequestsIT extends NeuralIT {

    private static final int[] SHARDS = { 1, 3 };

    private String products(int shards) {
        String index = "products" + shards;
        createEncoded(index, shards, "f1");
        indexProducts(index, 20);
        return index;
    }

    private static String neural(String body) {
        return "{\"neural\": {\"v\": {" + body + "}}}";
    }

    public void testAModelThatTritonDoesNotServe() {
        for (int shards : SHARDS) {
            String index = products(shards);
            triton.behave(new StubTriton.Behaviour.Status(404, "{\"error\": \"Request for unknown model: 'nobody' is not found\"}"));
            String query = neural("\"query_text\": \"a chair\", \"model_id\": \"nobody\"");
            for (String clause : List.of(query, "{\"hybrid\": {\"queries\": [" + query + "]}}")) {
                Exception e = expectThrows(Exception.class, () -> ask(index, "{\"query\": " + clause + "}"));
                assertEquals(e.toString(), RestStatus.NOT_FOUND, ExceptionsHelper.status(e));
                assertTrue(e.toString(), ExceptionsHelper.stackTrace(e).contains("model_id"));
            }
            // The operator has to load the index's model; the search may be retried afterwards.
            Exception e = expectThrows(Exception.class, () -> ask(index, "{\"query\": " + neural("\"query_text\": \"a chair\"") + "}"));
            assertEquals(e.toString(), RestStatus.SERVICE_UNAVAILABLE, ExceptionsHelper.status(e));
        }
    }

    public void testBlankTexts() {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (String blank : List.of("", " ", "\\t\\n", "\\u3000")) {
                String text = failure(index, "{\"query\": " + neural("\"query_text\": \"" + blank + "\"") + "}");
                assertTrue(text, text.contains("requires query_text not to be empty"));
                String negative = "\"query_text\": \"chair\", \"negative_text\": \"" + blank + "\"";
                assertTrue(failure(index, "{\"query\": " + neural(negative) + "}").contains("negative_text must not be empty"));
            }
            assertEquals("nothing is encoded", 0, triton.calls.size());
        }
    }

    public void testFieldCapabilitiesOfAnIndexFilter() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (String clause : List.of(neural("\"query_text\": \"a chair\""), "{\"hybrid\": {\"queries\": [{\"match_all\": {}}]}}")) {
                QueryBuilder filter = asked(index, "{\"query\": {\"bool\": {\"must\": [" + clause + "]}}}").source().query();
                FieldCapabilitiesRequest request = new FieldCapabilitiesRequest().indices(index).fields("title").indexFilter(filter);
                Exception e = expectThrows(Exception.class, () -> asker().fieldCaps(request).actionGet());
                assertEquals(e.toString(), RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
                assertTrue(e.toString(), e.getMessage().contains("[index_filter]"));
            }
            QueryBuilder other = new MatchAllQueryBuilder();
            FieldCapabilitiesRequest request = new FieldCapabilitiesRequest().indices(index).fields("title").indexFilter(other);
            assertEquals(Set.of("title"), asker().fieldCaps(request).actionGet().get().keySet());
        }
    }

    public void testLikeWhereTheSourceIsOff() throws Exception {
        for (int shards : SHARDS) {
            for (String source : List.of("\"enabled\": false", "\"excludes\": [\"v\"]")) {
                String index = "bare" + shards + (source.contains("enabled") ? "off" : "excluded");
                Settings settings = Settings.builder().put("index.number_of_shards", shards).put("index.number_of_replicas", 0)
                    .put("index.knn", true).put("index.knn.derived_source.enabled", false).build();
                String mapping = """
                    {"_source": {%s}, "_meta": {"mmsearch": {"version": 1, "fields": {"v": {"model": "query_encoder",
                       "model_version": "1", "output": "EMBEDDING", "fingerprint": "f1", "dimension": 2}}}},
                     "properties": {"title": {"type": "text"}, "v": {"type": "knn_vector", "dimension": 2, "space_type": "cosinesimil",
                       "method": {"name": "hnsw", "engine": "lucene"}}}}""".formatted(source);
                assertAcked(client().admin().indices().prepareCreate(index).setSettings(settings).setMapping(mapping));
                ensureGreen(index);
                indexProducts(index, 20);
                SearchResponse like = ask(index, "{\"query\": " + neural("\"like\": {\"_id\": \"p7\"}, \"k\": 2") + ", \"size\": 2}");
                assertEquals(source, List.of("p6", "p8"), ids(like).stream().sorted().toList());
            }
        }
    }

    /** A search template sends only a body, so its pipeline is not yet in the request. */
    public void testAPipelineInTheBody() {
        String enricher = "{\"request_processors\": [{\"neural_query_enricher\": {\"default_model_id\": \"other\"}}]}";
        PutSearchPipelineRequest put = new PutSearchPipelineRequest("enriched", new BytesArray(enricher), XContentType.JSON);
        assertAcked(client().admin().cluster().putSearchPipeline(put).actionGet());
        for (int shards : SHARDS) {
            String body = "{\"search_pipeline\": \"enriched\", \"query\": " + neural("\"query_text\": \"a chair\"") + "}";
            SearchRequest request = asked(products(shards), body);
            assertNull(request.pipeline());
            asker().search(request).actionGet();
            assertTrue(triton.calls.get(triton.calls.size() - 1).path(), triton.calls.get(triton.calls.size() - 1).path().contains("/other/"));
        }
    }
}
