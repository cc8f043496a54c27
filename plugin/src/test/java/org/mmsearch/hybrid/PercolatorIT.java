package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import org.mmsearch.MmsearchIT;
import org.opensearch.ExceptionsHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests that a percolator rejects the clauses: shards alone run its queries, and the coordinating node would have to encode or fuse. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class PercolatorIT extends MmsearchIT {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        try {
            plugins.add(Class.forName("org.opensearch.percolator.PercolatorModulePlugin").asSubclass(Plugin.class));
        } catch (ClassNotFoundException e) {
            throw new AssertionError("expected the percolator's jar in target/knn: run the tests by mvn, which unpacks it there", e);
        }
        return plugins;
    }

    @Override
    public void setUp() throws Exception {
        super.setUp();
        String mapping = """
            {"properties": {"query": {"type": "percolator"}, "title": {"type": "text"}, "v": {"type": "knn_vector", "dimension": 2}}}""";
        assertAcked(client().admin().indices().prepareCreate("stored").setMapping(mapping));
    }

    private static void store(String query) {
        client().prepareIndex("stored").setSource("{\"query\": " + query + "}", XContentType.JSON).get();
    }

    private static String refused(String query) {
        Exception e = expectThrows(Exception.class, () -> store(query));
        assertEquals(ExceptionsHelper.stackTrace(e), RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
        return ExceptionsHelper.stackTrace(e);
    }

    public void testAHybridIsRefused() {
        String match = "{\"match\": {\"title\": \"chair\"}}";
        store(match);
        String message = refused("{\"hybrid\": {\"queries\": [" + match + "]}}");
        assertTrue(message, message.contains("[hybrid] is fused on the coordinating node and is not allowed in queries that only shards evaluate"));
    }

    public void testANeuralIsRefused() {
        String message = refused("{\"neural\": {\"v\": {\"query_text\": \"chair\"}}}");
        assertTrue(message, message.contains("[neural] is encoded on the coordinating node and is not allowed in queries that shards rewrite"));
    }
}
