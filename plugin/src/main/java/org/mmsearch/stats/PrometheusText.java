package org.mmsearch.stats;

import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Formats the stats of all nodes in Prometheus' text format. By its naming conventions, counters end in {@code _total} and durations are
 * in seconds.
 */
final class PrometheusText {

    private static final String PREFIX = "mmsearch_";
    private static final List<String> BREAKER_STATES = List.of("closed", "half_open", "open");

    private final Map<String, StringBuilder> metrics = new LinkedHashMap<>();

    private PrometheusText() {}

    static String of(StatsResponse response) {
        PrometheusText text = new PrometheusText();
        for (StatsResponse.Node node : response.getNodes()) {
            text.walk("", "node=\"" + escape(node.getNode().getName()) + "\"", node.numbers());
        }
        StringBuilder all = new StringBuilder();
        text.metrics.values().forEach(all::append);
        return all.toString();
    }

    private void walk(String prefix, String labels, Map<?, ?> numbers) {
        numbers.forEach((key, value) -> {
            String path = prefix + key;
            if (value instanceof Number number) {
                sample(path, labels, number);
            } else if (value instanceof Boolean is) {
                sample(path, labels, is ? 1 : 0);
            } else if ("failures".equals(key) && value instanceof Map<?, ?> causes) {
                causes.forEach((cause, count) -> sample(path, labels + ",cause=\"" + cause + "\"", (Number) count));
            } else if (value instanceof List<?> endpoints) {
                endpoints.forEach(endpoint -> endpoint(prefix + "endpoint_", labels, (Map<?, ?>) endpoint));
            } else if (value instanceof Map<?, ?> map && map.containsKey("buckets")) {
                histogram(path, labels, map);
            } else if (value instanceof Map<?, ?> map) {
                walk(path + "_", labels, map);
            }
        });
    }

    private void endpoint(String prefix, String labels, Map<?, ?> endpoint) {
        String own = labels + ",url=\"" + escape(String.valueOf(endpoint.get("url"))) + "\"";
        sample(prefix + "breaker", own, BREAKER_STATES.indexOf(String.valueOf(endpoint.get("breaker"))));
        walk(prefix, own, Map.of("opened", endpoint.get("opened"), "in_flight", endpoint.get("in_flight")));
    }

    private void histogram(String path, String labels, Map<?, ?> latency) {
        String name = PREFIX + path + "_seconds";
        StringBuilder metric = metric(name, PrometheusMetrics.of(path));
        Object count = latency.get("count");
        ((Map<?, ?>) latency.get("buckets")).forEach(
            (bound, below) -> line(metric, name + "_bucket", labels + ",le=\"" + seconds(bound) + "\"", below)
        );
        line(metric, name + "_bucket", labels + ",le=\"+Inf\"", count);
        line(metric, name + "_sum", labels, seconds(latency.get("sum_ms")));
        line(metric, name + "_count", labels, count);
    }

    private void sample(String path, String labels, Number value) {
        PrometheusMetrics.Metric kind = PrometheusMetrics.of(path);
        String name = PREFIX + path + (kind.kind().equals("counter") ? "_total" : "");
        line(metric(name, kind), name, labels, value);
    }

    private StringBuilder metric(String name, PrometheusMetrics.Metric metric) {
        return metrics.computeIfAbsent(
            name,
            n -> new StringBuilder("# HELP " + n + " " + metric.help() + "\n# TYPE " + n + " " + metric.kind() + "\n")
        );
    }

    private static void line(StringBuilder metric, String name, String labels, Object value) {
        metric.append(name).append('{').append(labels).append("} ").append(value).append('\n');
    }

    private static String seconds(Object millis) {
        return new BigDecimal(String.valueOf(millis)).movePointLeft(3).stripTrailingZeros().toPlainString();
    }

    private static String escape(String value) {
        return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    }
}
