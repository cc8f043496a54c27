package org.mmsearch.stats;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The numbers of all nodes in Prometheus' text format: a metric per number, a histogram per latency. */
final class PrometheusText {

    private static final List<String> BREAKER_STATES = List.of("closed", "half_open", "open");

    private final Map<String, StringBuilder> metrics = new LinkedHashMap<>();

    private PrometheusText() {}

    static String of(StatsResponse response) {
        PrometheusText text = new PrometheusText();
        for (StatsResponse.Node node : response.getNodes()) {
            text.walk("mmsearch", "node=\"" + escape(node.getNode().getName()) + "\"", node.numbers());
        }
        StringBuilder all = new StringBuilder();
        text.metrics.values().forEach(all::append);
        return all.toString();
    }

    private void walk(String name, String labels, Map<?, ?> numbers) {
        numbers.forEach((key, value) -> {
            String path = name + "_" + key;
            if (value instanceof Number number) {
                sample(path, "gauge", path, labels, number);
            } else if ("failures".equals(key) && value instanceof Map<?, ?> causes) {
                causes.forEach((cause, count) -> sample(path, "gauge", path, labels + ",cause=\"" + cause + "\"", (Number) count));
            } else if (value instanceof List<?> endpoints) {
                endpoints.forEach(endpoint -> endpoint(name + "_endpoint", labels, (Map<?, ?>) endpoint));
            } else if (value instanceof Map<?, ?> map && map.containsKey("buckets")) {
                histogram(path + "_ms", labels, map);
            } else if (value instanceof Map<?, ?> map) {
                walk(path, labels, map);
            }
        });
    }

    private void endpoint(String name, String labels, Map<?, ?> endpoint) {
        String own = labels + ",url=\"" + escape(String.valueOf(endpoint.get("url"))) + "\"";
        sample(name + "_breaker", "gauge", name + "_breaker", own, BREAKER_STATES.indexOf(String.valueOf(endpoint.get("breaker"))));
        walk(name, own, Map.of("opened", endpoint.get("opened"), "in_flight", endpoint.get("in_flight")));
    }

    private void histogram(String name, String labels, Map<?, ?> latency) {
        ((Map<?, ?>) latency.get("buckets")).forEach(
            (bound, count) -> sample(name, "histogram", name + "_bucket", labels + ",le=\"" + bound + "\"", (Number) count)
        );
        sample(name, "histogram", name + "_bucket", labels + ",le=\"+Inf\"", (Number) latency.get("count"));
        sample(name, "histogram", name + "_sum", labels, (Number) latency.get("sum_ms"));
        sample(name, "histogram", name + "_count", labels, (Number) latency.get("count"));
    }

    private void sample(String metric, String type, String name, String labels, Number value) {
        metrics.computeIfAbsent(metric, m -> new StringBuilder("# TYPE " + m + " " + type + "\n"))
            .append(name)
            .append('{')
            .append(labels)
            .append("} ")
            .append(value)
            .append('\n');
    }

    private static String escape(String value) {
        return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    }
}
