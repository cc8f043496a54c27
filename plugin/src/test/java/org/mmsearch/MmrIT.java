package org.mmsearch;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.search.pipeline.SearchPipelineService;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests k-NN's maximal marginal relevance with mmsearch's clauses, with its processors enabled in the cluster settings.
 *
 * <p>Three products have vectors at the angles 0.70, 0.71 and 0.72, one at 0.3; the text "a chair" is encoded at 0.7. By similarity, the
 * first three rank first; by diversity alone, the fourth ranks second.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class MmrIT extends RestIT {

    private static final int[] SHARDS = { 1, 3 };
    private static final String NEURAL = "{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 2}}}";
    private static final String KNN = "{\"knn\": {\"v\": {\"vector\": [0.7648422, 0.64421767], \"k\": 2}}}";

    private StubTriton triton;

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.remove(Knn.plugin());
        plugins.remove(MmsearchPlugin.class);
        return plugins;
    }

    /** Declares that mmsearch extends k-NN, as its plugin descriptor does. */
    @Override
    protected Collection<PluginInfo> additionalNodePlugins() {
        return List.of(info("opensearch-knn", Knn.plugin(), List.of()), info("mmsearch", MmsearchPlugin.class, List.of("opensearch-knn")));
    }

    private static PluginInfo info(String name, Class<? extends Plugin> plugin, List<String> extended) {
        return new PluginInfo(name, "", "1", Version.CURRENT, "21", plugin.getName(), null, extended, false);
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder()
            .put(super.nodeSettings(ordinal))
            .putList(
                SearchPipelineService.ENABLED_SYSTEM_GENERATED_FACTORIES_SETTING.getKey(),
                "mmr_over_sample_factory",
                "mmr_rerank_factory",
                "mmsearch_hybrid_rewrite",
                "mmsearch_hybrid_fusion"
            )
            .build();
    }

    @Override
    public void setUp() throws Exception {
        triton = new StubTriton();
        super.setUp();
        send("PUT", "/_cluster/settings", "{\"transient\": {\"mmsearch.triton.endpoints\": [\"" + triton.url() + "\"]}}");
    }

    @Override
    public void tearDown() throws Exception {
        send("PUT", "/_cluster/settings", "{\"transient\": {\"mmsearch.triton.endpoints\": null}}");
        super.tearDown();
        triton.close();
    }

    private String products(int shards) throws IOException {
        String index = "products" + shards;
        send("PUT", "/" + index, """
            {"settings": {"index.knn": true, "number_of_shards": %s, "number_of_replicas": 0}, "mappings": {
               "_meta": {"mmsearch": {"version": 1, "fields": {"v": {"model": "query_encoder", "model_version": "1",
                 "output": "EMBEDDING", "fingerprint": "f1", "dimension": 2}}}},
               "properties": {"title": {"type": "text"}, "v": {"type": "knn_vector", "dimension": 2, "space_type": "cosinesimil",
                 "method": {"name": "hnsw", "engine": "lucene"}}}}}""".formatted(shards));
        ensureGreen(index);
        double[] angles = { 0.70, 0.71, 0.72, 0.30 };
        for (int i = 0; i < angles.length; i++) {
            String v = Math.cos(angles[i]) + ", " + Math.sin(angles[i]);
            send("PUT", "/" + index + "/_doc/p" + i + "?refresh=true", "{\"title\": \"chair\", \"v\": [" + v + "]}");
        }
        return index;
    }

    private static String body(String query, String diversity) {
        return body(query, diversity, "");
    }

    private static String body(String query, String diversity, String around) {
        return "{\"size\": 2, \"query\": " + query + ", \"ext\": {\"mmr\": {\"candidates\": 4, \"diversity\": " + diversity + "}}" + around + "}";
    }

    private static String hybrid(String... legs) {
        return "{\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]}}";
    }

    public void testDiverseHits() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards) + "/_search";
            for (String query : List.of(KNN, NEURAL, hybrid(NEURAL), hybrid(KNN), hybrid(NEURAL, KNN))) {
                assertEquals(query, List.of("p0", "p1"), found(search, body(query, "0.0")));
                assertEquals(query, List.of("p0", "p3"), found(search, body(query, "1.0")));
            }
        }
    }

    public void testDiverseHitsOfAHybridThatTakesTwoRounds() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards) + "/_search";
            String leg = NEURAL.replace("\"k\": 2", "\"k\": 4");
            String facets = ", \"aggs\": {\"n\": {\"value_count\": {\"field\": \"_id\"}}}";
            assertEquals(List.of("p0", "p1"), found(search, body(hybrid(leg), "0.0", facets)));
            assertEquals(List.of("p0", "p3"), found(search, body(hybrid(leg), "1.0", facets)));
            String none = "{\"knn\": {\"v\": {\"vector\": [1, 0], \"k\": 4, \"filter\": {\"term\": {\"title\": \"table\"}}}}}";
            assertEquals(List.of(), found(search, body(hybrid(none), "1.0", facets)));
        }
    }

    public void testAHybridWithoutOneVectorField() throws IOException {
        for (int shards : SHARDS) {
            String search = "/" + products(shards) + "/_search";
            String words = "{\"match\": {\"title\": \"chair\"}}";
            String refused = refused(400, "POST", search, body(hybrid(words), "1.0"));
            assertTrue(refused, refused.contains("[ext.mmr.vector_field_path]"));
            String named = body(hybrid(words), "1.0").replace("\"candidates\"", "\"vector_field_path\": \"v\", \"candidates\"");
            assertEquals(2, found(search, named).size());
        }
    }
}
