package org.mmsearch.hybrid;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.mmsearch.MmsearchIT;
import org.opensearch.ExceptionsHelper;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests that an invalid leg has the same status as the same query alone, on one shard and on three, in every way. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class BrokenLegsIT extends MmsearchIT {

    /** A script that can be compiled. */
    public static final class Scripts extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("one", vars -> 1.0, "broken", vars -> {
                throw new IllegalArgumentException("the script broke");
            });
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Scripts.class);
        return plugins;
    }

    private static String clauses(int count) {
        return IntStream.range(0, count).mapToObj(i -> "{\"term\": {\"color\": \"c" + i + "\"}}").collect(Collectors.joining(","));
    }

    private static Map<String, String> legs() {
        Map<String, String> legs = new LinkedHashMap<>();
        legs.put("expensive script", "{\"script\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"one\"}}}");
        legs.put(
            "expensive script score",
            "{\"script_score\": {\"query\": {\"match_all\": {}}, \"script\": {\"lang\": \"mockscript\", \"source\": \"one\"}}}"
        );
        legs.put("expensive wildcard", "{\"wildcard\": {\"title\": \"*air\"}}");
        legs.put("too many clauses", "{\"bool\": {\"should\": [" + clauses(1100) + "]}}");
        legs.put("unknown nested path", "{\"nested\": {\"path\": \"nowhere\", \"query\": {\"match_all\": {}}}}");
        legs.put("text for a number", "{\"term\": {\"price\": \"dear\"}}");
        legs.put("bad range", "{\"range\": {\"price\": {\"gte\": \"dear\"}}}");
        legs.put("bad regexp", "{\"regexp\": {\"color\": {\"value\": \"(\"}}}");
        legs.put("wrong dimension", "{\"knn\": {\"v\": {\"vector\": [1, 2, 3], \"k\": 3}}}");
        legs.put("no vector field", "{\"knn\": {\"title\": {\"vector\": [1, 2], \"k\": 3}}}");
        legs.put("unknown field of a function", "{\"function_score\": {\"field_value_factor\": {\"field\": \"nowhere\"}}}");
        legs.put("phrase on a number", "{\"match_phrase_prefix\": {\"price\": \"1\"}}");
        legs.put("query string", "{\"query_string\": {\"query\": \"title:(\"}}");
        legs.put("script that breaks", "{\"script\": {\"script\": {\"lang\": \"mockscript\", \"source\": \"broken\"}}}");
        return legs;
    }

    private static RestStatus status(String index, String body) {
        try {
            return ask(index, body).getFailedShards() == 0 ? RestStatus.OK : RestStatus.PARTIAL_CONTENT;
        } catch (Exception e) {
            return ExceptionsHelper.status(e);
        }
    }

    public void testTheirStatus() throws Exception {
        for (int shards : new int[] { 1, 3 }) {
            createProducts("broken" + shards, shards, 2);
            for (int i = 0; i < 12; i++) {
                String body = "{\"title\": \"chair\", \"color\": \"red\", \"price\": " + i + ", \"v\": [1, " + i + "]}";
                client().prepareIndex("broken" + shards).setId("p" + i).setSource(body, XContentType.JSON).get();
            }
            refresh("broken" + shards);
        }
        int refused = 0;
        for (boolean expensive : new boolean[] { true, false }) {
            allowExpensive(expensive);
            try {
                for (Map.Entry<String, String> leg : legs().entrySet()) {
                    String alone = "{\"query\": " + leg.getValue() + "}";
                    String hybrid = "{\"query\": {\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}, " + leg.getValue() + "]}}}";
                    RestStatus expected = status("broken1", alone);
                    refused += expected == RestStatus.BAD_REQUEST ? 1 : 0;
                    assertEquals(leg.getKey() + " on one shard", expected, status("broken1", hybrid));
                    for (HybridWay way : HybridWay.values()) {
                        by(way, () -> assertEquals(leg.getKey() + " by " + way, expected, status("broken3", hybrid)));
                    }
                }
            } finally {
                allowExpensive(true);
            }
        }
        assertTrue(refused + " legs were refused", refused > 12);
        assertNothingOpen();
    }

    private static void allowExpensive(boolean allowed) {
        Settings.Builder settings = Settings.builder();
        if (allowed) {
            settings.putNull("search.allow_expensive_queries");
        } else {
            settings.put("search.allow_expensive_queries", false);
        }
        assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings));
    }
}
