package org.mmsearch.answers;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import org.mmsearch.RestIT;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests over HTTP that search responses exclude vectors by default and that all other responses are complete. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, supportsDedicatedMasters = false)
public class DefaultAnswersIT extends RestIT {

    private static final String VECTOR = "0.25";
    private static final String FOREIGN =
        "{ \"title\":\"chair\",  \"v\":[0.25,  1],\"color\" :\"blue\", \"parts\":[{\"empty\":{},\"v\": [0.25]}] }";

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(InnerSearches.class);
        return plugins;
    }

    private void product() throws IOException {
        index("products", "");
        send("PUT", "/products/_doc/a?refresh=true", "{\"title\": \"chair\", \"color\": \"red\", \"v\": [0.25, 1]}");
    }

    /** Creates an mmsearch index with the vector field {@code v}. */
    private void index(String name, String settings) throws IOException {
        send("PUT", "/" + name, """
            {"settings": {"index.knn": true, "index.number_of_replicas": 0%s}, "mappings": {
               "_meta": {"mmsearch": {"version": 1, "fields": {"v": {"model": "query_encoder"}}}},
               "properties": {"title": {"type": "text"}, "color": {"type": "keyword"},
                 "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}}}}
            """.formatted(settings));
        ensureGreen(name);
    }

    /** Creates an index without mmsearch metadata, with a field of the same name and a document in unusual formatting. */
    private static void foreign() throws IOException {
        send("PUT", "/foreign", """
            {"settings": {"index.knn": true, "index.knn.derived_source.enabled": false, "index.number_of_shards": 1}, "mappings": {"properties": {
               "color": {"type": "keyword"}, "parts": {"type": "nested"},
               "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}}}}
            """);
        send("PUT", "/foreign/_doc/f?refresh=true", FOREIGN);
    }

    private static void assertLeftOut(String answer) {
        assertTrue(answer, answer.contains("chair"));
        assertFalse(answer, answer.contains(VECTOR));
    }

    private static void assertKept(String answer) {
        assertTrue(answer, answer.contains(VECTOR));
    }

    public void testSearch() throws IOException {
        product();
        assertLeftOut(send("GET", "/products/_search", null));
        assertLeftOut(send("POST", "/_search", "{\"query\": {\"match\": {\"title\": \"chair\"}}}"));
        assertKept(send("POST", "/products/_search", "{\"_source\": true}"));
        assertKept(send("POST", "/products/_search", "{\"_source\": [\"v\"]}"));
        assertKept(send("POST", "/products/_search", "{\"fields\": [\"v\"]}"));
        assertKept(send("GET", "/products/_search?_source_includes=v", null));
    }

    public void testMultiSearch() throws IOException {
        product();
        String line = "{\"index\": \"products\"}\n";
        assertLeftOut(send("POST", "/_msearch", line + "{\"size\": 1}\n"));
        assertKept(send("POST", "/_msearch", line + "{\"size\": 1, \"_source\": true}\n"));
    }

    public void testGetAndMultiGetAnswerWithWhatMayBeWrittenBack() throws IOException {
        product();
        assertKept(send("GET", "/products/_doc/a", null));
        assertKept(send("GET", "/products/_source/a", null));
        assertKept(send("POST", "/_mget", "{\"docs\": [{\"_index\": \"products\", \"_id\": \"a\"}]}"));
        assertKept(send("POST", "/products/_mget", "{\"ids\": [\"a\"]}"));
        assertLeftOut(send("GET", "/products/_doc/a?_source_excludes=v", null));
    }

    public void testExcludesAndIncludesAreTheCallers() throws IOException {
        product();
        assertKept(send("POST", "/products/_search", "{\"_source\": {\"excludes\": [\"color\"]}}"));
        assertLeftOut(send("POST", "/products/_search", "{\"_source\": {\"includes\": [\"title\"]}}"));
        String scripted = send("POST", "/products/_search", "{\"stored_fields\": [\"_routing\"]}");
        assertFalse(scripted, scripted.contains("_source\""));
    }

    public void testFieldsGiveVectorsThatSourcesLeaveOut() throws IOException {
        product();
        String answer = send("POST", "/products/_search", "{\"fields\": [\"v\"]}");
        assertTrue(answer, answer.contains("\"fields\":{\"v\":[0.25,1") || answer.contains("\"fields\":{\"v\":[[0.25,1"));
        assertEquals(answer, answer.indexOf(VECTOR), answer.lastIndexOf(VECTOR));
    }

    public void testPointInTimeKeepsTheVector() throws IOException {
        product();
        String pit = send("POST", "/products/_search/point_in_time?keep_alive=1m", null).replaceAll(".*\"pit_id\":\"([^\"]*)\".*", "$1");
        assertKept(send("POST", "/_search", "{\"pit\": {\"id\": \"" + pit + "\"}}"));
        send("DELETE", "/_search/point_in_time/_all", null);
    }

    public void testAnIndexAndANodeSwitchItOff() throws IOException {
        product();
        index("whole", ", \"index.mmsearch.answers.leave_out_vectors\": false");
        send("PUT", "/whole/_doc/w?refresh=true", "{\"title\": \"chair\", \"v\": [0.25, 1]}");
        assertKept(send("GET", "/whole/_search", null));
        String both = send("GET", "/whole,products/_search", null);
        assertTrue(both, both.contains("\"a\"") && both.contains("\"w\""));
        assertEquals("the one index's vector alone: " + both, both.indexOf(VECTOR), both.lastIndexOf(VECTOR));
        send("PUT", "/products/_settings", "{\"index.mmsearch.answers.leave_out_vectors\": false}");
        assertKept(send("GET", "/products/_search", null));
        send("PUT", "/products/_settings", "{\"index.mmsearch.answers.leave_out_vectors\": null}");
        assertLeftOut(send("GET", "/products/_search", null));
        send("PUT", "/_cluster/settings", "{\"transient\": {\"mmsearch.answers.leave_out_vectors\": false}}");
        assertKept(send("GET", "/products/_search", null));
        send("PUT", "/_cluster/settings", "{\"transient\": {\"mmsearch.answers.leave_out_vectors\": null}}");
        assertLeftOut(send("GET", "/products/_search", null));
    }

    public void testIndicesOfOthersAnswerByteForByte() throws IOException {
        product();
        foreign();
        String body = """
            {"query": {"bool": {"should": [{"match_all": {}}, {"nested": {"path": "parts", "ignore_unmapped": true,
               "query": {"match_all": {}}, "inner_hits": {}}}]}},
             "aggs": {"c": {"terms": {"field": "color"}, "aggs": {"top": {"top_hits": {}}}}},
             "collapse": {"field": "color", "inner_hits": {"name": "group"}}}
            """;
        for (String search : List.of("{}", body)) {
            String alone = send("POST", "/foreign/_search", search);
            String both = send("POST", "/products,foreign/_search", search);
            // The hit, its collapsed group and its top_hits.
            assertEquals(search.equals(body) ? 3 : 1, count(alone, FOREIGN));
            assertEquals(both, count(alone, FOREIGN), count(both, FOREIGN));
            assertEquals(both, count(alone, VECTOR), count(both, VECTOR));
        }
        String inner = "\"_source\":{\"v\":[0.25],\"empty\":{}}";
        String alone = send("POST", "/foreign/_search", body);
        String both = send("POST", "/products,foreign/_search", body);
        assertTrue(alone, alone.contains(inner) || alone.contains("\"_source\":{\"empty\":{},\"v\":[0.25]}"));
        assertEquals(alone.contains(inner), both.contains(inner));
    }

    private static int count(String text, String part) {
        return text.split(java.util.regex.Pattern.quote(part), -1).length - 1;
    }

    public void testAnIndexWithoutSourcesIsNotAskedToLeaveAnythingOut() throws IOException {
        product();
        send("PUT", "/bare", "{\"mappings\": {\"_source\": {\"enabled\": false}, \"properties\": {\"color\": {\"type\": \"keyword\"}}}}");
        send("PUT", "/bare/_doc/b?refresh=true", "{\"color\": \"green\"}");
        String answer = send(
            "POST",
            "/products,bare/_search",
            "{\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}, \"aggs\": {\"top\": {\"top_hits\": {}}}}}}"
        );
        assertTrue(answer, answer.contains("\"failed\":0"));
    }

    public void testSearchesInsideANodeKeepTheVector() throws IOException {
        product();
        assertKept(client().prepareSearch("products").get().getHits().getAt(0).getSourceAsString());
        // Also over REST, if another plugin's handler or action runs the search.
        assertKept(send("GET", "/_inner_search", null));
        assertKept(send("GET", "/_inner_action", null));
    }

    public void testTopHitsAndCollapsedGroups() throws IOException {
        product();
        assertLeftOut(
            send(
                "POST",
                "/products/_search",
                "{\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}, \"aggs\": {\"top\": {\"top_hits\": {}}}}}, "
                    + "\"collapse\": {\"field\": \"color\", \"inner_hits\": {\"name\": \"group\"}}}"
            )
        );
        assertKept(
            send("POST", "/products/_search", "{\"size\": 0, \"aggs\": {\"top\": {\"top_hits\": {\"_source\": [\"v\"]}}}}")
        );
    }

    public void testInnerHits() throws IOException {
        String mapping = """
            {"settings": {"index.knn": true}, "mappings": {"_meta": {"mmsearch": {"fields": {"images.v": {"model": "m"}}}},
              "properties": {"images": {"type": "nested", "properties": {
              "alt": {"type": "text"},
              "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}}}}}}""";
        send("PUT", "/pictures", mapping);
        send("PUT", "/pictures/_doc/a?refresh=true", "{\"images\": [{\"alt\": \"chair\", \"v\": [0.25, 1]}]}");
        String nested = "{\"nested\": {\"path\": \"images\", \"inner_hits\": {}, \"query\": {\"match\": {\"images.alt\": \"chair\"}}}}";
        assertLeftOut(send("POST", "/pictures/_search", "{\"query\": " + nested + "}"));
        assertLeftOut(send("POST", "/pictures/_search", "{\"query\": {\"hybrid\": {\"queries\": [" + nested + "]}}}"));
        String asked = nested.replace("\"inner_hits\": {}", "\"inner_hits\": {\"_source\": [\"images.v\"]}");
        assertKept(send("POST", "/pictures/_search", "{\"_source\": false, \"query\": " + asked + "}"));
        assertKept(send("POST", "/pictures/_search", "{\"query\": " + asked + "}"));
    }

    public void testPartialUpdateKeepsTheVector() throws IOException {
        product();
        send("POST", "/products/_update/a?refresh=true", "{\"doc\": {\"price\": 3}}");
        assertKept(send("POST", "/products/_search", "{\"_source\": true}"));
    }

    public void testUpdateByQueryKeepsTheVector() throws IOException {
        product();
        send("POST", "/products/_update_by_query?refresh=true", "{}");
        String answer = send("POST", "/products/_search", "{\"_source\": true, \"version\": true}");
        assertKept(answer);
        assertTrue(answer, answer.contains("\"_version\":2"));
    }

    public void testReindexKeepsTheVector() throws IOException {
        product();
        createProducts("copy", 1, 2);
        send("POST", "/_reindex?refresh=true", "{\"source\": {\"index\": \"products\"}, \"dest\": {\"index\": \"copy\"}}");
        assertKept(send("POST", "/copy/_search", "{\"_source\": true}"));
    }

    public void testScrollKeepsTheVector() throws IOException {
        product();
        assertKept(send("POST", "/products/_search?scroll=1m", "{}"));
        send("DELETE", "/_search/scroll/_all", null);
    }
}
