package org.mmsearch.neural;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Set;

import org.apache.lucene.search.Query;
import org.mmsearch.MmsearchPlugin;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.XContentParseException;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.AbstractQueryTestCase;
import org.opensearch.test.TestGeoShapeFieldMapperPlugin;

/** Tests serialization, JSON and grammar of the neural clause. {@link NeuralQueryIT} tests its rewrite on a node. */
public class NeuralQueryBuilderTests extends AbstractQueryTestCase<NeuralQueryBuilder> {

    @Override
    @SuppressWarnings("deprecation") // the framework's own mappings use geo_shape, and it offers no other plugin for it
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MmsearchPlugin.class, TestGeoShapeFieldMapperPlugin.class);
    }

    @Override
    protected NeuralQueryBuilder doCreateTestQueryBuilder() {
        StringBuilder json = new StringBuilder("{\"neural\": {\"").append(randomAlphaOfLength(5)).append("\": {");
        int what = between(0, 2);
        json.append(what == 0 ? "\"query_text\": \"" + randomAlphaOfLengthBetween(1, 20) + "\""
            : what == 1 ? "\"query_image\": \"R0lGODlhAgADAAAAAA==\""
            : "\"query_text\": \"red\", \"query_image\": \"R0lGODlhAgADAAAAAA==\", \"query_image_weight\": 0.25");
        String[] bounds = { "", ", \"k\": " + between(1, 100), ", \"min_score\": 0.5", ", \"max_distance\": 2.5" };
        json.append(randomFrom(bounds));
        maybe(json, ", \"model_id\": \"query_encoder:2\"");
        maybe(json, ", \"filter\": {\"term\": {\"color\": {\"value\": \"red\", \"boost\": 1.0}}}");
        maybe(json, ", \"method_parameters\": {\"ef_search\": 100}");
        maybe(json, randomBoolean() ? ", \"rescore\": {\"oversample_factor\": 3.0}" : ", \"rescore\": false");
        maybe(json, ", \"expand_nested_docs\": " + randomBoolean());
        maybe(json, randomBoolean() ? ", \"negative_text\": \"green\"" : ", \"negative_text\": {\"text\": \"green\", \"weight\": 0.75}");
        maybe(json, what == 1 ? "" : ", \"text_to_image\": 0.25");
        maybe(json, ", \"like\": {\"_id\": \"p1\", \"_index\": \"products\", \"routing\": \"r\", \"weight\": 2.0}");
        try {
            return (NeuralQueryBuilder) parseQuery(json.append("}}}").toString());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static void maybe(StringBuilder json, String key) {
        if (randomBoolean()) {
            json.append(key);
        }
    }

    @Override
    protected boolean builderGeneratesCacheableQueries() {
        return false;
    }

    @Override
    protected void doAssertLuceneQuery(NeuralQueryBuilder query, Query lucene, QueryShardContext context) {
        fail("a shard never sees the clause");
    }

    /** Shards reject the clause instead of building a Lucene query. */
    @Override
    public void testToQuery() {
        onShard(query -> query.rewrite(createShardContext()));
    }

    @Override
    public void testMustRewrite() {
        onShard(query -> query.toQuery(createShardContext()));
    }

    @Override
    public void testCacheability() {
        onShard(query -> query.rewrite(new QueryShardContext(createShardContext())));
    }

    private interface Use {
        void of(NeuralQueryBuilder query) throws IOException;
    }

    private void onShard(Use use) {
        NeuralQueryBuilder query = createTestQueryBuilder();
        OpenSearchStatusException e = expectThrows(OpenSearchStatusException.class, () -> use.of(query));
        assertEquals(RestStatus.BAD_REQUEST, e.status());
        assertTrue(e.getMessage(), e.getMessage().startsWith("[neural] is encoded on the coordinating node"));
    }

    public void testOfficialRequestIsTakenUnchanged() throws IOException {
        NeuralQueryBuilder query = (NeuralQueryBuilder) parseQuery("""
            {"neural": {"embedding": {"query_text": "a", "query_image": "R0lG", "model_id": "m", "k": 100,
              "filter": {"match_all": {}}, "method_parameters": {"ef_search": 100}, "rescore": {"oversample_factor": 3.0},
              "expand_nested_docs": true, "boost": 1.5, "_name": "dense"}}}""");
        assertEquals("embedding", query.fieldName());
        assertEquals(1.5f, query.boost(), 0f);
        assertEquals("dense", query.queryName());
        String json = query.toString();
        for (String key : List.of("query_text", "query_image", "model_id", "\"k\"", "filter", "ef_search", "oversample_factor",
            "expand_nested_docs", "boost", "_name")) {
            assertTrue(key + " in " + json, json.contains(key));
        }
    }

    public void testRules() {
        refused("[neural] requires query_text, query_image or like, none specified", "{\"v\": {\"k\": 1}}");
        refused("[neural] requires query_text, query_image or like, none specified", "{\"v\": {\"negative_text\": \"a\"}}");
        refused("[neural] takes only one of k, min_score and max_distance", "{\"v\": {\"query_text\": \"a\", \"k\": 1, \"min_score\": 1}}");
        refused("[neural] takes only one of k, min_score and max_distance", "{\"v\": {\"query_text\": \"a\", \"max_distance\": 1, \"min_score\": 1}}");
        refused("[neural] query does not support [queries]", "{\"v\": {\"query_text\": \"a\", \"queries\": 1}}");
        refused("[neural] query does not support [vector]", "{\"v\": {\"query_text\": \"a\", \"vector\": [1, 2]}}");
        refused("[neural] query doesn't support multiple fields, found [v] and [w]", "{\"v\": {\"query_text\": \"a\"}, \"w\": {\"query_text\": \"a\"}}");
        refused("[neural] requires a field's name, none specified", "{}");
        refused("[neural] requires an object under the field's name", "{\"v\": \"a\"}");
        refused("[neural] requires query_text not to be empty", "{\"v\": {\"query_text\": \"\"}}");
        refused("[neural] requires k to be greater than 0, got [0]", "{\"v\": {\"query_text\": \"a\", \"k\": 0}}");
        refused("[neural] takes query_image_weight only with both", "{\"v\": {\"query_text\": \"a\", \"query_image_weight\": 0.5}}");
        refused("[neural] requires query_image_weight from 0 to 1, got [1.5]",
            "{\"v\": {\"query_text\": \"a\", \"query_image\": \"R0lG\", \"query_image_weight\": 1.5}}");
        refused("[neural] takes text_to_image only with query_text or negative_text", "{\"v\": {\"query_image\": \"R0lG\", \"text_to_image\": 0.5}}");
        refused("[neural] requires text_to_image from 0 to 1, got [-0.1]", "{\"v\": {\"query_text\": \"a\", \"text_to_image\": -0.1}}");
        refused("negative_text must not be empty", "{\"v\": {\"query_text\": \"a\", \"negative_text\": \"\"}}");
        refused("the weight of negative_text must be a positive number",
            "{\"v\": {\"query_text\": \"a\", \"negative_text\": {\"text\": \"b\", \"weight\": -1}}}");
        refused("Required [_id]", "{\"v\": {\"like\": {\"_index\": \"a\"}}}");
    }

    public void testDefaultKIsTen() throws IOException {
        assertTrue(parseQuery("{\"neural\": {\"v\": {\"query_text\": \"a\"}}}").toString().contains("\"k\" : 10"));
        assertFalse(parseQuery("{\"neural\": {\"v\": {\"query_text\": \"a\", \"min_score\": 0.5}}}").toString().contains("\"k\""));
    }

    /** A filter is added to the clause, where it filters the neighbors, and not next to it. */
    @Override
    public void testFilter() throws IOException {
        assertSame(NeuralQueryBuilder.class, createTestQueryBuilder().filter(QueryBuilders.matchAllQuery()).getClass());
        NeuralQueryBuilder query = createTestQueryBuilder();
        assertSame(query, query.filter(null));
    }

    public void testANullFilterIsNone() throws IOException {
        assertEquals(
            parseQuery("{\"neural\": {\"v\": {\"query_text\": \"a\"}}}"),
            parseQuery("{\"neural\": {\"v\": {\"query_text\": \"a\", \"filter\": null}}}")
        );
    }

    public void testFilterIsCombined() throws IOException {
        QueryBuilder query = parseQuery("{\"neural\": {\"v\": {\"query_text\": \"a\"}}}");
        QueryBuilder once = query.filter(QueryBuilders.termQuery("color", "red"));
        assertTrue(once.toString(), once.toString().contains("\"red\""));
        QueryBuilder twice = once.filter(QueryBuilders.termQuery("color", "blue"));
        assertTrue(twice.toString(), twice.toString().contains("\"red\"") && twice.toString().contains("\"blue\""));
    }

    public void testTheClauseBesideTheOfficialPlugin() throws IOException {
        Path home = createTempDir();
        Files.createDirectories(home.resolve("plugins/opensearch-neural-search"));
        MmsearchPlugin plugin = new MmsearchPlugin(Settings.builder().put("path.home", home).build(), home.resolve("config"));
        assertTrue(plugin.getQueries().stream().anyMatch(spec -> spec.getName().getPreferredName().equals("mmsearch_neural")));
    }

    private void refused(String message, String body) {
        Exception e = expectThrows(Exception.class, () -> parseQuery("{\"neural\": " + body + "}"));
        assertTrue(
            e.toString(),
            e instanceof ParsingException || e instanceof IllegalArgumentException || e instanceof XContentParseException
        );
        StringBuilder all = new StringBuilder();
        for (Throwable t = e; t != null; t = t.getCause()) {
            all.append(t.getMessage()).append('\n');
        }
        assertTrue(message + " in " + all, all.toString().contains(message));
    }

    @Override
    protected Set<String> getObjectsHoldingArbitraryContent() {
        // Objects of k-NN, passed on unchanged.
        return Set.of("method_parameters", "rescore");
    }

    @Override
    protected String[] shuffleProtectedFields() {
        return new String[0];
    }
}
