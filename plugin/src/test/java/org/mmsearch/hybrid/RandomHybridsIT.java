package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.bulk.BulkRequestBuilder;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.search.SearchHit;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Compares random hybrids with a slow reference without shards. The reference sorts all products by each leg's score, cuts at the window,
 * and fuses with the formulas of the README. The hybrids search one to five shards, and three with a replica, in every way, with search
 * options that do not affect the hits, and in slices of many segments. {@code -Dtests.hybrids=N} sets the number of hybrids; a failure
 * prints its seed.
 *
 * <p>A leg scores by a field with small integers, so ties are common. At the edge of a window either of two tied products is valid, so the
 * reference uses the legs in the hits' evidence.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class RandomHybridsIT extends MmsearchIT {

    private static final int PRODUCTS = 60;
    private static final int FIELDS = 5;
    /** The field that a vector represents too. */
    private static final int VECTOR = 4;

    /** One value per field; 0 means that the leg does not find the product. */
    private final Map<String, int[]> values = new TreeMap<>();

    public void testEqualToTheSlowReference() throws Exception {
        int hybrids = Integer.getInteger("tests.hybrids", 162);
        for (int shards = 1; shards <= 6; shards++) {
            String index = "random" + shards;
            // The sixth index has three shards with a replica each.
            fill(index, shards == 6 ? 3 : shards, shards == 6 ? 1 : 0);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    List<String> bodies = new ArrayList<>();
                    List<String> answers = new ArrayList<>();
                    slices(index, "none", 0);
                    for (int i = 0; i < hybrids / 18; i++) {
                        Hybrid hybrid = hybrid();
                        bodies.add("{" + options() + json(hybrid).substring(1));
                        answers.add(check(bodies.get(i), hybrid, askCopies(index, bodies.get(i))));
                    }
                    slices(index, "all", randomIntBetween(0, 8));
                    for (int i = 0; i < bodies.size(); i++) {
                        assertEquals(bodies.get(i), answers.get(i), answer(askCopies(index, bodies.get(i))));
                    }
                });
            }
        }
        assertNothingOpen();
    }

    private void fill(String index, int shards, int replicas) {
        createProducts(index, shards, 2);
        Settings settings = Settings.builder().put("index.number_of_replicas", replicas).put(UNMERGED).build();
        client().admin().indices().prepareUpdateSettings(index).setSettings(settings).get();
        ensureGreen(index);
        values.clear();
        BulkRequestBuilder bulk = client().prepareBulk();
        for (int i = 0; i < PRODUCTS; i++) {
            if (i % 10 == 0 && i > 0) {
                // One segment per ten products.
                assertFalse(bulk.get().hasFailures());
                refresh(index);
                bulk = client().prepareBulk();
            }
            int[] of = new int[FIELDS];
            StringBuilder body = new StringBuilder("{\"title\": \"chair\"");
            for (int field = 0; field < FIELDS; field++) {
                of[field] = randomIntBetween(0, field == 0 ? 3 : 50);
                body.append(", \"f").append(field).append("\": ").append(of[field]);
            }
            body.append(", \"v\": [").append(of[VECTOR]).append(", 0]");
            values.put("p" + i, of);
            bulk.add(client().prepareIndex(index).setId("p" + i).setSource(body.append("}").toString(), XContentType.JSON));
        }
        assertFalse(bulk.get().hasFailures());
        refresh(index);
    }

    /** The fields, the kinds and the depths of a hybrid's legs. */
    private record Hybrid(int[] fields, int[] least, String normalization, String combination, double[] weights, int window) {}

    private static Hybrid hybrid() {
        int legs = randomIntBetween(1, 5);
        int[] fields = new int[legs];
        int[] least = new int[legs];
        for (int leg = 0; leg < legs; leg++) {
            fields[leg] = randomIntBetween(0, FIELDS - 1);
            least[leg] = randomFrom(1, 1, 2, 30, 1000);
        }
        String combination = randomFrom("arithmetic_mean", "geometric_mean", "harmonic_mean", "rrf");
        String normalization = combination.equals("arithmetic_mean") ? randomFrom("min_max", "l2", "z_score") : randomFrom("min_max", "l2");
        double[] weights = null;
        if (randomBoolean()) {
            weights = new double[legs];
            int rest = 100;
            for (int leg = 0; leg < legs; leg++) {
                int share = leg == legs - 1 ? rest : randomIntBetween(0, rest);
                weights[leg] = share / 100.0;
                rest -= share;
            }
        }
        return new Hybrid(fields, least, normalization, combination, weights, randomFrom(1, 3, 10, 25, 100));
    }

    private static String json(Hybrid hybrid) {
        List<String> queries = new ArrayList<>();
        for (int leg = 0; leg < hybrid.fields.length; leg++) {
            String field = "f" + hybrid.fields[leg];
            if (hybrid.fields[leg] == VECTOR) {
                queries.add(nearest(hybrid, leg));
                continue;
            }
            queries.add(
                "{\"function_score\": {\"query\": {\"range\": {\"" + field + "\": {\"gte\": " + hybrid.least[leg]
                    + "}}}, \"boost_mode\": \"replace\", \"field_value_factor\": {\"field\": \"" + field + "\"}}}"
            );
        }
        String parameters = hybrid.weights == null ? "" : ", \"parameters\": {\"weights\": " + Arrays.toString(hybrid.weights) + "}";
        String combination = "\"combination\": {\"technique\": \"" + hybrid.combination + "\"" + parameters + "}";
        String normalization = hybrid.combination.equals("rrf")
            ? ""
            : "\"normalization\": {\"technique\": \"" + hybrid.normalization + "\"}, ";
        return "{\"size\": " + hybrid.window + ", \"query\": {\"hybrid\": {\"pagination_depth\": " + hybrid.window + ", \"queries\": "
            + queries + ", \"fusion\": {" + normalization + combination + "}}}}";
    }

    /** Vectors have integer distances. The search returns as many neighbors as possible, so that none is missed. */
    private static String nearest(Hybrid hybrid, int leg) {
        return "{\"function_score\": {\"query\": {\"knn\": {\"v\": {\"vector\": [0, 0], \"k\": " + PRODUCTS + ", \"filter\": {\"range\": {\"f"
            + VECTOR + "\": {\"gte\": " + hybrid.least[leg] + "}}}}}}, \"boost_mode\": \"replace\", "
            + "\"field_value_factor\": {\"field\": \"f" + VECTOR + "\"}}}";
    }

    /** Search options that do not affect hits, order or scores. */
    private static String options() {
        return randomFrom(
            "", "", "\"profile\": true, ", "\"explain\": true, ", "\"timeout\": \"1m\", ", "\"track_scores\": true, ",
            "\"aggs\": {\"colors\": {\"terms\": {\"field\": \"f1\"}}}, ", "\"min_score\": 0.0, ", "\"from\": 0, ",
            "\"highlight\": {\"fields\": {\"title\": {}}}, ", "\"sort\": [\"_score\"], ",
            "\"rescore\": {\"window_size\": 1, \"query\": {\"rescore_query\": {\"match_none\": {}}}}, "
        );
    }

    /** Uses the same shard copies each time, so documents have one order. */
    private static SearchResponse askCopies(String index, String body) {
        return asker().search(asked(index, body).preference("same")).actionGet();
    }

    private static String answer(SearchResponse response) {
        assertEquals(0, response.getFailedShards());
        StringBuilder answer = new StringBuilder().append(response.getHits().getTotalHits()).append(", ").append(response.getHits().getMaxScore());
        for (SearchHit hit : response.getHits()) {
            answer.append('\n').append(hit.getId()).append(' ').append(hit.getScore()).append(' ').append(hit.field("_legs").getValues());
        }
        return answer.toString();
    }

    /** Returns the response, for comparison. */
    private static boolean weighs(Hybrid hybrid, int leg) {
        return hybrid.weights == null || hybrid.weights[leg] > 0;
    }

    private String check(String body, Hybrid hybrid, SearchResponse response) {
        assertEquals(body, 0, response.getFailedShards());
        Map<String, int[]> ranks = new HashMap<>();
        for (SearchHit hit : response.getHits()) {
            int[] of = new int[hybrid.fields.length];
            for (Object line : hit.field("_legs").getValues()) {
                Map<?, ?> leg = (Map<?, ?>) line;
                of[Integer.parseInt((String) leg.get("name"))] = (int) leg.get("rank");
            }
            ranks.put(hit.getId(), of);
        }
        List<double[]> windows = new ArrayList<>();
        for (int leg = 0; leg < hybrid.fields.length; leg++) {
            windows.add(window(hybrid, leg));
        }
        // Each hit's legs have the position of its score in the leg's list, and its score follows from the formula.
        List<Double> scores = new ArrayList<>();
        for (SearchHit hit : response.getHits()) {
            double[] normalized = new double[hybrid.fields.length];
            for (int leg = 0; leg < normalized.length; leg++) {
                int rank = ranks.get(hit.getId())[leg];
                int value = values.get(hit.getId())[hybrid.fields[leg]];
                double[] window = windows.get(leg);
                if (rank > 0) {
                    assertEquals(body + " leg " + leg + " of " + hit.getId(), window[rank - 1], value, 0);
                    normalized[leg] = normalize(hybrid, window, rank - 1);
                } else if (value >= hybrid.least[leg] && window.length > 0) {
                    assertTrue(body + " leg " + leg + " misses " + hit.getId(), value <= window[window.length - 1]);
                }
            }
            scores.add(combine(hybrid, normalized));
            assertEquals(body + " " + hit.getId(), scores.get(scores.size() - 1), hit.getScore(), 1e-4 * Math.max(1, hit.getScore()));
        }
        for (int i = 1; i < scores.size(); i++) {
            assertTrue(body, response.getHits().getAt(i - 1).getScore() >= response.getHits().getAt(i).getScore());
        }
        // Each rank of each leg is on one hit, unless the window cuts the union.
        long found = response.getHits().getTotalHits().value();
        assertEquals(body, response.getHits().getHits().length, found);
        // A leg of weight 0 brings no hits of its own.
        long least = 0;
        for (int leg = 0; leg < windows.size(); leg++) {
            least = weighs(hybrid, leg) ? Math.max(least, windows.get(leg).length) : least;
        }
        assertTrue(body + " found " + found, found >= least && found <= hybrid.window);
        if (found < hybrid.window) {
            for (int leg = 0; leg < windows.size(); leg++) {
                int position = leg;
                long ranked = ranks.values().stream().filter(of -> of[position] > 0).count();
                if (weighs(hybrid, leg)) {
                    assertEquals(body + " leg " + leg, windows.get(leg).length, ranked);
                } else {
                    assertTrue(body + " leg " + leg, ranked <= windows.get(leg).length);
                }
            }
        }
        return answer(response);
    }

    /** The best scores of a leg over all products, regardless of shards. */
    private double[] window(Hybrid hybrid, int leg) {
        return values.values()
            .stream()
            .map(of -> (double) of[hybrid.fields[leg]])
            .filter(value -> value >= hybrid.least[leg])
            .sorted(Comparator.reverseOrder())
            .limit(hybrid.window)
            .mapToDouble(Double::doubleValue)
            .toArray();
    }

    private static double normalize(Hybrid hybrid, double[] window, int position) {
        double score = window[position];
        double max = window[0];
        double min = window[window.length - 1];
        if (hybrid.combination.equals("rrf")) {
            return 1.0 / (60 + position + 1);
        }
        return switch (hybrid.normalization) {
            case "min_max" -> {
                // The last hit's floor stays below the hit before it.
                double before = Arrays.stream(window).filter(s -> s > min).map(s -> (s - min) / (max - min)).min().orElse(1);
                yield max == min ? 1 : score == min ? Math.min(0.001, before * (1 - 1e-6)) : (score - min) / (max - min);
            }
            case "l2" -> score / Math.sqrt(Arrays.stream(window).map(s -> s * s).sum());
            case "z_score" -> {
                double mean = Arrays.stream(window).average().orElseThrow();
                double variance = Arrays.stream(window).map(s -> (s - mean) * (s - mean)).sum() / (window.length - 1);
                double z = (score - mean) / Math.sqrt(variance);
                yield max == min ? 1 : z < 0.001 ? 0.001 * Math.exp(z - 0.001) : z;
            }
            default -> throw new AssertionError(hybrid.normalization);
        };
    }

    private static double combine(Hybrid hybrid, double[] normalized) {
        double sum = 0;
        double weights = 0;
        for (int leg = 0; leg < normalized.length; leg++) {
            double weight = hybrid.weights == null ? 1 : hybrid.weights[leg];
            double score = normalized[leg];
            boolean counts = score > 0 || hybrid.combination.equals("arithmetic_mean");
            if (counts) {
                weights += weight;
                sum += weight * switch (hybrid.combination) {
                    case "arithmetic_mean", "rrf" -> score;
                    case "geometric_mean" -> Math.log(score);
                    case "harmonic_mean" -> 1 / score;
                    default -> throw new AssertionError(String.format(Locale.ROOT, "%s", hybrid.combination));
                };
            }
        }
        if (weights == 0) {
            return 0;
        }
        return switch (hybrid.combination) {
            case "arithmetic_mean" -> sum / weights;
            case "rrf" -> sum;
            case "geometric_mean" -> Math.exp(sum / weights);
            default -> weights / sum;
        };
    }
}
