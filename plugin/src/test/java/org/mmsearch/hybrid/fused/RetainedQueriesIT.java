package org.mmsearch.hybrid.fused;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;

import org.mmsearch.MmsearchIT;
import org.mmsearch.MmsearchPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.PluginsService;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.search.SearchModule;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests that no query as a leg keeps its search on the heap. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class RetainedQueriesIT extends MmsearchIT {

    private static final int SEARCHES = 50;

    /** A script for queries that need one. */
    public static final class Scripts extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("one", vars -> 1.0, "yes", vars -> true);
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Scripts.class);
        return plugins;
    }

    private static final String SCRIPT = "\"script\": {\"lang\": \"mockscript\", \"source\": \"one\"}";
    private static final String FILTER = "\"script\": {\"lang\": \"mockscript\", \"source\": \"yes\"}";
    private static final String SPAN = "{\"span_term\": {\"t\": \"chair\"}}";

    /** One example of each query of a plain node; several if its forms create different Lucene queries. */
    private static Map<String, List<String>> legs() {
        Map<String, List<String>> legs = new TreeMap<>();
        legs.put("bool", List.of("{\"must\": {\"match\": {\"t\": \"chair\"}}, \"filter\": {\"script\": {" + FILTER + "}}}"));
        legs.put("boosting", List.of("{\"positive\": {\"match_all\": {}}, \"negative\": {\"match\": {\"t\": \"x\"}}, \"negative_boost\": 0.5}"));
        legs.put("combined_fields", List.of("{\"query\": \"wooden chair\", \"fields\": [\"t\"]}"));
        legs.put("constant_score", List.of("{\"filter\": {\"match_phrase\": {\"m\": \"wooden chair\"}}}"));
        legs.put("dis_max", List.of("{\"queries\": [{\"match_all\": {}}, {\"wildcard\": {\"w\": \"*ooden*\"}}]}"));
        legs.put("distance_feature", List.of("{\"field\": \"d\", \"origin\": \"2026-01-01\", \"pivot\": \"7d\"}"));
        legs.put("exists", List.of("{\"field\": \"t\"}"));
        legs.put(
            "function_score",
            List.of(
                "{\"script_score\": {" + SCRIPT + "}}",
                "{\"field_value_factor\": {\"field\": \"n\"}}",
                "{\"random_score\": {\"seed\": 1, \"field\": \"n\"}}",
                "{\"gauss\": {\"n\": {\"origin\": 1, \"scale\": 1}}}"
            )
        );
        legs.put("fuzzy", List.of("{\"t\": \"chare\"}"));
        legs.put("geo_bounding_box", List.of("{\"g\": {\"top_left\": [0, 10], \"bottom_right\": [10, 0]}}"));
        legs.put("geo_distance", List.of("{\"distance\": \"900km\", \"g\": [1, 1]}"));
        legs.put("geo_polygon", List.of("{\"g\": {\"points\": [[0, 0], [9, 0], [9, 9]]}}"));
        legs.put("ids", List.of("{\"values\": [\"p1\"]}"));
        legs.put(
            "intervals",
            List.of("{\"t\": {\"match\": {\"query\": \"wooden chair\", \"filter\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"yes\"}}}}}",
                "{\"t\": {\"match\": {\"query\": \"wooden chair\"}}}")
        );
        legs.put("knn", List.of("{\"v\": {\"vector\": [1, 0], \"k\": 3}}", "{\"v\": {\"vector\": [1, 0], \"k\": 3, \"filter\": {\"script\": {" + FILTER + "}}}}"));
        legs.put("match", List.of("{\"t\": \"chair\"}", "{\"m\": \"chair\"}", "{\"t\": {\"query\": \"chair\", \"_name\": \"lexical\"}}"));
        legs.put("match_all", List.of("{}"));
        legs.put("match_bool_prefix", List.of("{\"t\": \"wooden ch\"}"));
        legs.put("match_none", List.of("{}"));
        legs.put("match_phrase", List.of("{\"m\": \"wooden chair\"}", "{\"t\": \"wooden chair\"}"));
        legs.put("match_phrase_prefix", List.of("{\"m\": \"wooden ch\"}", "{\"t\": \"wooden ch\"}"));
        legs.put("more_like_this", List.of("{\"fields\": [\"t\"], \"like\": \"wooden chair\", \"min_term_freq\": 1, \"min_doc_freq\": 1}"));
        legs.put("multi_match", List.of("{\"query\": \"wooden chair\", \"fields\": [\"t\", \"m\"], \"type\": \"cross_fields\"}"));
        legs.put("nested", List.of("{\"path\": \"o\", \"query\": {\"script\": {" + FILTER + "}}}"));
        legs.put("prefix", List.of("{\"t\": \"ch\"}", "{\"w\": \"woo\"}"));
        legs.put("query_string", List.of("{\"query\": \"wood* OR t:/ch.*/\", \"default_field\": \"t\"}"));
        legs.put("range", List.of("{\"n\": {\"gte\": 0}}"));
        legs.put("regexp", List.of("{\"t\": \"ch.*\"}", "{\"w\": \"wood.*\"}"));
        legs.put("script", List.of("{" + FILTER + "}"));
        legs.put("script_score", List.of("{\"query\": {\"match_all\": {}}, " + SCRIPT + "}"));
        legs.put("simple_query_string", List.of("{\"query\": \"wood*\", \"fields\": [\"t\"]}"));
        legs.put("span_containing", List.of("{\"big\": " + SPAN + ", \"little\": " + SPAN + "}"));
        legs.put("span_first", List.of("{\"match\": " + SPAN + ", \"end\": 9}"));
        legs.put("span_multi", List.of("{\"match\": {\"prefix\": {\"t\": \"ch\"}}}"));
        legs.put("span_near", List.of("{\"clauses\": [" + SPAN + "], \"slop\": 1}"));
        legs.put("span_not", List.of("{\"include\": " + SPAN + ", \"exclude\": {\"span_term\": {\"t\": \"x\"}}}"));
        legs.put("span_or", List.of("{\"clauses\": [" + SPAN + "]}"));
        legs.put("span_term", List.of("{\"t\": \"chair\"}"));
        legs.put("span_within", List.of("{\"big\": " + SPAN + ", \"little\": " + SPAN + "}"));
        legs.put("span_field_masking", List.of("{\"query\": " + SPAN + ", \"field\": \"t\"}"));
        legs.put("term", List.of("{\"t\": \"chair\"}"));
        legs.put("terms", List.of("{\"t\": [\"chair\"]}", "{\"t\": {\"index\": \"leak\", \"id\": \"p1\", \"path\": \"t\"}}"));
        legs.put("terms_set", List.of("{\"t\": {\"terms\": [\"wooden\"], \"minimum_should_match_script\": {\"lang\": \"mockscript\", \"source\": \"one\"}}}"));
        legs.put("wildcard", List.of("{\"w\": \"*ooden*\"}", "{\"t\": \"*ooden*\"}"));
        legs.put("wrapper", List.of("{\"query\": \"" + java.util.Base64.getEncoder().encodeToString("{\"match_all\":{}}".getBytes(java.nio.charset.StandardCharsets.UTF_8)) + "\"}"));
        legs.put("hybrid", List.of("{\"queries\": [{\"script\": {" + FILTER + "}}]}"));
        return legs;
    }

    /** Queries that cannot be a leg, or that need something else. The test fails if one is missing here. */
    private static final List<String> NO_LEGS = List.of(
        "neural", "agentic", "common", "mmsearch_candidates", "mmsearch_explained", "mmsearch_in_shard", "mmsearch_knn", "mmsearch_rank_docs", "mmsearch_raw_score", "geo_shape", "span_gap",
        "template", "type", "terms_lookup", "rank_feature"
    );

    private static FusedQueries running() throws Exception {
        PluginsService plugins = internalCluster().getInstance(PluginsService.class);
        return plugins.filterPlugins(MmsearchPlugin.class).get(0).hybridNode().running();
    }

    public void testEveryQueryIsTried() {
        SearchModule module = new SearchModule(Settings.EMPTY, pluginsWithQueries());
        TreeSet<String> known = module.getNamedWriteables()
            .stream()
            .filter(entry -> entry.categoryClass == QueryBuilder.class)
            .map(entry -> entry.name)
            .collect(Collectors.toCollection(TreeSet::new));
        known.removeAll(legs().keySet());
        NO_LEGS.forEach(known::remove);
        assertEquals("queries without a leg of theirs here", List.of(), List.copyOf(known));
    }

    private static List<SearchPlugin> pluginsWithQueries() {
        return internalCluster().getInstance(PluginsService.class).filterPlugins(SearchPlugin.class);
    }

    public void testNothingStays() throws Exception {
        for (int shards : new int[] { 1, 2 }) {
            Settings settings = Settings.builder()
                .put("index.number_of_shards", shards)
                .put("index.number_of_replicas", 0)
                .put("index.knn", true)
                .build();
            String index = shards == 1 ? "leak" : "leaks";
            assertAcked(client().admin().indices().prepareCreate(index).setSettings(settings).setMapping("""
                {"properties": {"m": {"type": "match_only_text"}, "w": {"type": "wildcard"}, "t": {"type": "text"}, "n": {"type": "long"},
                                "d": {"type": "date"}, "g": {"type": "geo_point"}, "o": {"type": "nested"},
                                "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}}}"""));
            client().prepareIndex(index).setId("p1").setSource("""
                {"m": "wooden chair", "w": "wooden chair", "t": "wooden chair", "n": 1, "d": "2026-01-02", "g": [1, 1],
                 "o": [{"x": 1}], "v": [1, 0]}""", XContentType.JSON).get();
            refresh(index);
            legs().forEach((name, forms) -> forms.forEach(form -> {
                String body = "{\"query\": {\"hybrid\": {\"queries\": [{\"" + name + "\": " + form + "}, {\"match_all\": {}}]}}}";
                for (int i = 0; i < SEARCHES / forms.size(); i++) {
                    assertEquals(name, 1, ask(index, body).getHits().getHits().length);
                }
            }));
        }
        // A query cache may keep a few queries, but not their search.
        assertBusy(() -> {
            System.gc();
            assertEquals("searches that are still known", 0, running().size());
        });
    }
}
