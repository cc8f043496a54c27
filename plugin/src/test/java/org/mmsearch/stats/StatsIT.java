package org.mmsearch.stats;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import org.mmsearch.RestIT;
import org.opensearch.client.Request;
import org.opensearch.client.ResponseException;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests {@code GET _plugins/_mmsearch/stats} over HTTP on two nodes. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class StatsIT extends RestIT {

    public void testJson() throws IOException {
        String json = get("/_plugins/_mmsearch/stats");
        Map<String, Object> all = XContentHelper.convertToMap(XContentType.JSON.xContent(), json, true);
        assertEquals(Map.of("total", 2, "successful", 2, "failed", 0), all.get("_nodes"));
        Map<?, ?> nodes = (Map<?, ?>) all.get("nodes");
        assertEquals(2, nodes.size());
        nodes.values().forEach(node -> {
            Map<?, ?> encoder = (Map<?, ?>) ((Map<?, ?>) node).get("encoder");
            for (String key : List.of("calls", "retries", "coalesced", "in_flight", "queued", "cache", "failures", "endpoints", "latency")) {
                assertTrue(key, encoder.containsKey(key));
            }
            assertEquals("closed", ((Map<?, ?>) ((List<?>) encoder.get("endpoints")).get(0)).get("breaker"));
            Map<?, ?> hybrid = (Map<?, ?>) ((Map<?, ?>) node).get("hybrid");
            assertEquals(Set.of("in_shard", "one_search", "two_rounds", "point_in_time", "legs_skipped", "latency"), hybrid.keySet());
        });
    }

    /** Each hybrid is counted once, whether its only shard or the coordinating node fuses it. */
    public void testHybridFillsItsStages() throws IOException {
        String body = "{\"query\": {\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}]}}}";
        for (int shards : new int[] { 1, 3 }) {
            String index = "stages" + shards;
            createProducts(index, shards, 2);
            client().prepareIndex(index).setId("a").setSource("{\"title\": \"chair\"}", XContentType.JSON).get();
            refresh(index);
            Map<String, Double> before = hybridNumbers();
            assertEquals(1, ask(index, body).getHits().getHits().length);
            Map<String, Double> after = hybridNumbers();
            Map<String, Double> more = new TreeMap<>();
            after.forEach((name, value) -> more.put(name, value - before.get(name)));
            assertEquals(shards == 1 ? 1 : 0, more.get("in_shard"), 0);
            assertEquals(shards == 1 ? 0 : 1, more.get("one_search"), 0);
            assertEquals(0, more.get("two_rounds") + more.get("point_in_time"), 0);
            for (String stage : List.of("legs", "fuse")) {
                assertEquals(stage, 1, more.get(stage + ".count"), 0);
                assertTrue(stage + " took " + more.get(stage + ".sum_ms"), more.get(stage + ".sum_ms") > 0);
                assertEquals("every time lies under the last bound", 1, more.get(stage + ".10000.0"), 0);
            }
        }
        assertTrue(get("/_plugins/_mmsearch/stats?format=prometheus").contains("mmsearch_hybrid_latency_legs_seconds_bucket{"));
    }

    /** Returns the hybrid stats summed over the nodes; latencies have the keys {@code STAGE.NUMBER} and {@code STAGE.BOUND}. */
    private static Map<String, Double> hybridNumbers() throws IOException {
        Map<String, Double> sums = new TreeMap<>();
        Map<String, Object> all = XContentHelper.convertToMap(XContentType.JSON.xContent(), get("/_plugins/_mmsearch/stats"), true);
        for (Object node : ((Map<?, ?>) all.get("nodes")).values()) {
            Map<?, ?> hybrid = (Map<?, ?>) ((Map<?, ?>) node).get("hybrid");
            add(sums, "", hybrid);
            ((Map<?, ?>) hybrid.get("latency")).forEach((stage, numbers) -> {
                add(sums, stage + ".", (Map<?, ?>) numbers);
                add(sums, stage + ".", (Map<?, ?>) ((Map<?, ?>) numbers).get("buckets"));
            });
        }
        return sums;
    }

    private static void add(Map<String, Double> sums, String prefix, Map<?, ?> numbers) {
        numbers.forEach((name, value) -> {
            if (value instanceof Number number) {
                sums.merge(prefix + name, number.doubleValue(), Double::sum);
            }
        });
    }

    public void testOneNode() throws IOException {
        String name = internalCluster().getNodeNames()[0];
        assertTrue(get("/_plugins/_mmsearch/stats/" + name).contains("\"total\":1"));
    }

    public void testPrometheus() throws IOException {
        String text = get("/_plugins/_mmsearch/stats?format=prometheus");
        for (String name : internalCluster().getNodeNames()) {
            String node = "node=\"" + name + "\"";
            assertTrue(text, text.contains("mmsearch_encoder_calls_total{" + node + "} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_failures_total{" + node + ",cause=\"deadline\"} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_latency_encode_seconds_bucket{" + node + ",le=\"0.0001\"} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_latency_encode_seconds_bucket{" + node + ",le=\"10\"} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_latency_encode_seconds_bucket{" + node + ",le=\"+Inf\"} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_latency_encode_seconds_sum{" + node + "} 0\n"));
            assertTrue(text, text.contains("mmsearch_encoder_endpoint_breaker{" + node + ",url=\"http://127.0.0.1:8000\"} 0\n"));
            assertTrue(text, text.contains("mmsearch_knn_native_libraries{" + node + "} 0\n"));
        }
        assertEquals("each type is told once", 1, text.split("# TYPE mmsearch_encoder_calls_total counter\n", -1).length - 1);
        for (String line : text.split("\n")) {
            assertTrue(line, line.matches("# (HELP|TYPE) [a-z_]+ .+") || line.matches("[a-z0-9_]+\\{[^}]*\\} [0-9.eE+-]+"));
        }
    }

    /** Validates the text with Prometheus' promtool, if it is installed (Debian package prometheus). */
    public void testPromtool() throws Exception {
        List<String> path = List.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator));
        Path tool = path.stream().map(folder -> Path.of(folder, "promtool")).filter(Files::isExecutable).findFirst().orElse(null);
        assumeTrue("promtool is on the PATH", tool != null);
        Path text = createTempDir().resolve("metrics");
        Files.writeString(text, get("/_plugins/_mmsearch/stats?format=prometheus"));
        Process check = new ProcessBuilder(tool.toString(), "check", "metrics").redirectInput(text.toFile()).redirectErrorStream(true).start();
        String said = new String(check.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(said, 0, check.waitFor());
        assertEquals("", said);
    }

    public void testAnotherFormat() {
        ResponseException e = expectThrows(ResponseException.class, () -> get("/_plugins/_mmsearch/stats?format=xml"));
        assertEquals(400, e.getResponse().getStatusLine().getStatusCode());
    }

    private static String get(String path) throws IOException {
        return new String(
            getRestClient().performRequest(new Request("GET", path)).getEntity().getContent().readAllBytes(),
            StandardCharsets.UTF_8
        );
    }
}
