package org.mmsearch.answers;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import org.mmsearch.MmsearchIT;
import org.opensearch.client.Request;
import org.opensearch.client.Response;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.reindex.ReindexModulePlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import org.opensearch.transport.Netty4ModulePlugin;

import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.ParseException;

/** Over HTTP: answers leave vectors out unless asked, and whatever copies documents keeps them. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, supportsDedicatedMasters = false)
public class DefaultAnswersIT extends MmsearchIT {

    private static final String VECTOR = "0.25";

    @Override
    protected boolean addMockHttpTransport() {
        return false;
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Netty4ModulePlugin.class);
        plugins.add(ReindexModulePlugin.class);
        return plugins;
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put("http.type", "netty4").build();
    }

    private void product() throws IOException {
        createProducts("products", 1, 2);
        send("PUT", "/products/_doc/a?refresh=true", "{\"title\": \"chair\", \"color\": \"red\", \"v\": [0.25, 1]}");
    }

    private static String send(String method, String path, String body) throws IOException {
        Request request = new Request(method, path);
        if (body != null) {
            request.setJsonEntity(body);
        }
        Response response = getRestClient().performRequest(request);
        try {
            return EntityUtils.toString(response.getEntity());
        } catch (ParseException e) {
            throw new IOException(e);
        }
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

    public void testGet() throws IOException {
        product();
        assertLeftOut(send("GET", "/products/_doc/a", null));
        assertKept(send("GET", "/products/_doc/a?_source=true", null));
        assertKept(send("GET", "/products/_doc/a?_source_includes=v", null));
    }

    public void testMultiGet() throws IOException {
        product();
        assertLeftOut(send("POST", "/_mget", "{\"docs\": [{\"_index\": \"products\", \"_id\": \"a\"}]}"));
        assertLeftOut(send("POST", "/products/_mget", "{\"ids\": [\"a\"]}"));
        assertKept(send("POST", "/products/_mget?_source=true", "{\"ids\": [\"a\"]}"));
        assertKept(send("POST", "/_mget", "{\"docs\": [{\"_index\": \"products\", \"_id\": \"a\", \"_source\": [\"v\"]}]}"));
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
            {"settings": {"index.knn": true}, "mappings": {"properties": {"images": {"type": "nested", "properties": {
              "alt": {"type": "text"},
              "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}}}}}}""";
        send("PUT", "/pictures", mapping);
        send("PUT", "/pictures/_doc/a?refresh=true", "{\"images\": [{\"alt\": \"chair\", \"v\": [0.25, 1]}]}");
        String nested = "{\"nested\": {\"path\": \"images\", \"inner_hits\": {}, \"query\": {\"match\": {\"images.alt\": \"chair\"}}}}";
        assertLeftOut(send("POST", "/pictures/_search", "{\"query\": " + nested + "}"));
        assertLeftOut(send("POST", "/pictures/_search", "{\"query\": {\"hybrid\": {\"queries\": [" + nested + "]}}}"));
        String asked = nested.replace("\"inner_hits\": {}", "\"inner_hits\": {\"_source\": [\"images.v\"]}");
        assertKept(send("POST", "/pictures/_search", "{\"_source\": false, \"query\": " + asked + "}"));
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

    public void testSearchesOfOtherPluginsKeepTheVector() throws IOException {
        product();
        String source = client().prepareSearch("products").get().getHits().getAt(0).getSourceAsString();
        assertKept(source);
    }
}
