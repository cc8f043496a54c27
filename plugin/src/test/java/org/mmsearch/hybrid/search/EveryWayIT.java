package org.mmsearch.hybrid.search;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.mmsearch.MmsearchIT;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.action.bulk.BulkRequestBuilder;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.ToXContent;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests every search feature with a hybrid, one row each: on one shard, and on three in every way. The responses must be equal. Legs score
 * by a field or a vector, so scores do not depend on shard statistics.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 2, numClientNodes = 0, supportsDedicatedMasters = false)
public class EveryWayIT extends MmsearchIT {

    private static final String BY_PRICE = """
        {"function_score": {"query": {"match": {"title": "chair"}}, "boost_mode": "replace", "field_value_factor": {"field": "price"}}}""";
    private static final String BY_RATING = """
        {"function_score": {"query": {"range": {"rating": {"gte": 20}}}, "boost_mode": "replace",
                            "field_value_factor": {"field": "rating"}}}""";
    private static final String NEAR = """
        {"knn": {"v": {"vector": [1, 0], "k": 60}}}""";
    private static final String NAMED = """
        {"function_score": {"_name": "dear", "query": {"match": {"title": {"query": "chair", "_name": "inner"}}},
                            "boost_mode": "replace", "field_value_factor": {"field": "price"}}}""";
    private static final String OFFERS = """
        {"nested": {"path": "offers", "score_mode": "max", "inner_hits": {"size": 2, "_source": ["offers.shop"]}, "query":
          {"function_score": {"query": {"match": {"offers.shop": "north"}}, "boost_mode": "replace",
                              "field_value_factor": {"field": "offers.cost"}}}}}""";

    private static String hybrid(String more, String... legs) {
        return "{\"hybrid\": {" + more + "\"pagination_depth\": 20, \"queries\": [" + String.join(",", legs) + "]}}";
    }

    private static final String PLAIN = hybrid("", BY_PRICE, BY_RATING, NEAR);

    /** Bodies by name; each requests 15 hits unless it sets a size. */
    private static Map<String, String> rows() {
        Map<String, String> rows = new LinkedHashMap<>();
        rows.put("plain", "\"query\": " + PLAIN);
        rows.put("page", "\"from\": 5, \"size\": 7, \"query\": " + PLAIN);
        rows.put("one hit", "\"size\": 1, \"query\": " + PLAIN);
        rows.put("last page", "\"from\": 12, \"size\": 8, \"query\": " + PLAIN);
        rows.put("no hits", "\"size\": 0, \"query\": " + PLAIN);
        rows.put("nothing found", "\"query\": " + hybrid("", "{\"match\": {\"title\": \"nowhere\"}}"));
        rows.put("one leg without hits", "\"query\": " + hybrid("", "{\"match\": {\"title\": \"nowhere\"}}", BY_PRICE));
        rows.put("filter", "\"query\": " + hybrid("\"filter\": {\"term\": {\"color\": \"red\"}}, ", BY_PRICE, NEAR));
        rows.put("cutoff", "\"query\": " + hybrid("\"cutoff\": {\"relative_max\": 0.6}, ", BY_PRICE, BY_RATING));
        rows.put("cutoff by score", "\"query\": " + hybrid("\"cutoff\": {\"min_score\": 0.5}, ", BY_PRICE, BY_RATING));
        rows.put("rrf", "\"query\": " + hybrid("\"fusion\": {\"combination\": {\"technique\": \"rrf\"}}, ", BY_PRICE, NEAR));
        rows.put("without evidence", "\"query\": " + hybrid("\"evidence\": false, ", BY_PRICE, NEAR));
        rows.put("boost", "\"query\": " + hybrid("\"boost\": 3, ", BY_PRICE, NEAR));
        rows.put("name", "\"query\": " + hybrid("\"_name\": \"both\", ", BY_PRICE, NEAR));
        rows.put("named legs", "\"query\": " + hybrid("", NAMED, NEAR));
        rows.put("inner hits", "\"query\": " + hybrid("", OFFERS, BY_PRICE));
        rows.put("highlight", "\"highlight\": {\"fields\": {\"title\": {}}}, \"query\": " + PLAIN);
        rows.put("explain", "\"explain\": true, \"query\": " + hybrid("", BY_PRICE, BY_RATING));
        rows.put("fields", "\"_source\": false, \"fields\": [\"price\"], \"docvalue_fields\": [\"rating\"], \"version\": true, \"query\": " + PLAIN);
        rows.put("total not tracked", "\"track_total_hits\": false, \"query\": " + PLAIN);
        rows.put("total up to", "\"track_total_hits\": 5, \"sort\": [{\"price\": \"desc\"}], \"query\": " + PLAIN);
        rows.put("totals all", "\"query\": " + hybrid("\"totals\": \"all\", ", BY_PRICE, BY_RATING));
        rows.put("sort", "\"sort\": [{\"price\": \"asc\"}], \"query\": " + PLAIN);
        rows.put("sort by score", "\"sort\": [\"_score\", {\"price\": \"asc\"}], \"query\": " + PLAIN);
        rows.put("search after", "\"sort\": [{\"price\": \"desc\"}], \"search_after\": [50], \"query\": " + PLAIN);
        rows.put("collapse", "\"collapse\": {\"field\": \"color\"}, \"query\": " + PLAIN);
        rows.put(
            "collapse with inner hits",
            "\"collapse\": {\"field\": \"color\", \"inner_hits\": {\"name\": \"more\", \"size\": 4}}, \"query\": " + PLAIN
        );
        rows.put(
            "rescore",
            "\"rescore\": {\"window_size\": 20, \"query\": {\"rescore_query\": {\"function_score\": {\"field_value_factor\": "
                + "{\"field\": \"rating\"}}}}}, \"query\": " + PLAIN
        );
        rows.put("least score", "\"min_score\": 0.4, \"query\": " + PLAIN);
        rows.put("post filter", "\"post_filter\": {\"term\": {\"color\": \"red\"}}, \"query\": " + PLAIN);
        rows.put(
            "facets",
            "\"aggs\": {\"colors\": {\"terms\": {\"field\": \"color\"}, \"aggs\": {\"price\": {\"avg\": {\"field\": \"price\"}}}}, "
                + "\"best\": {\"top_hits\": {\"size\": 2}}, \"dear\": {\"filter\": {\"range\": {\"price\": {\"gte\": 40}}}}, "
                + "\"steps\": {\"histogram\": {\"field\": \"price\", \"interval\": 10}}}, \"query\": " + PLAIN
        );
        rows.put("facets alone", "\"size\": 0, \"aggs\": {\"colors\": {\"terms\": {\"field\": \"color\"}}}, \"query\": " + PLAIN);
        rows.put(
            "facet of a hybrid",
            "\"size\": 3, \"aggs\": {\"best\": {\"filter\": " + hybrid("\"evidence\": false, ", BY_PRICE, NEAR) + ", \"aggs\": {\"price\": {\"sum\": {\"field\": \"price\"}}}}}, "
                + "\"sort\": [{\"price\": \"asc\"}], \"query\": {\"match_all\": {}}"
        );
        rows.put("post filter by a hybrid", "\"sort\": [{\"price\": \"asc\"}], \"query\": {\"match_all\": {}}, \"post_filter\": " + PLAIN);
        rows.put(
            "in a bool",
            "\"query\": {\"bool\": {\"must\": " + PLAIN + ", \"filter\": {\"term\": {\"color\": \"red\"}}, "
                + "\"should\": {\"constant_score\": {\"filter\": {\"range\": {\"price\": {\"gte\": 30}}}}}}}"
        );
        rows.put(
            "beside another query",
            "\"size\": 40, \"query\": {\"bool\": {\"should\": [" + PLAIN + ", {\"constant_score\": {\"filter\": {\"term\": "
                + "{\"color\": \"blue\"}}}}]}}, \"sort\": [\"_score\", {\"price\": \"asc\"}]"
        );
        rows.put(
            "in a function score",
            "\"query\": {\"function_score\": {\"query\": " + PLAIN + ", \"field_value_factor\": {\"field\": \"rating\"}}}"
        );
        rows.put("in a constant score", "\"sort\": [{\"price\": \"asc\"}], \"query\": {\"constant_score\": {\"filter\": " + PLAIN + "}}");
        rows.put("in a hybrid", "\"query\": " + hybrid("", PLAIN, BY_RATING));
        rows.put(
            "two",
            "\"query\": {\"bool\": {\"should\": [" + hybrid("", BY_PRICE) + ", " + hybrid("\"_name\": \"second\", ", NEAR, BY_RATING) + "]}}"
        );
        rows.put("two, one in the other", "\"query\": {\"dis_max\": {\"queries\": [" + hybrid("", PLAIN, NEAR) + ", " + PLAIN + "]}}");
        rows.put("suggest", "\"suggest\": {\"fix\": {\"text\": \"chairr\", \"term\": {\"field\": \"title\"}}}, \"query\": " + PLAIN);
        return rows;
    }

    /** How shard copies are replicated. */
    protected Settings replication() {
        return Settings.EMPTY;
    }

    /** The preferred copies of three shards; null for any. */
    protected String preference() {
        return null;
    }

    private SearchRequest askedOfThree(String body) {
        return asked("three", body).preference(preference());
    }

    private void create(String index, int shards, int replicas) throws Exception {
        Settings settings = Settings.builder()
            .put(replication())
            .put("index.number_of_shards", shards)
            .put("index.number_of_replicas", replicas)
            .put("index.knn", true)
            .build();
        assertAcked(client().admin().indices().prepareCreate(index).setSettings(settings).setMapping("""
            {"properties": {
               "title": {"type": "text"}, "color": {"type": "keyword"}, "price": {"type": "integer"}, "rating": {"type": "integer"},
               "offers": {"type": "nested", "properties": {"shop": {"type": "keyword"}, "cost": {"type": "integer"}}},
               "v": {"type": "knn_vector", "dimension": 2, "space_type": "l2", "method": {"name": "hnsw", "engine": "lucene"}}}}"""));
        ensureGreen(index);
        BulkRequestBuilder bulk = client().prepareBulk();
        for (int i = 1; i <= 60; i++) {
            // All scores differ, so the order is unique: 37 and 60 are coprime.
            int rating = i * 37 % 61;
            String body = "{\"title\": \"%s\", \"color\": \"%s\", \"price\": %s, \"rating\": %s, \"v\": [%s, 0], \"offers\": [%s]}".formatted(
                i % 3 == 0 ? "table" : "chair",
                List.of("red", "blue", "green").get(i % 3),
                i,
                rating,
                1 + (i * 23 % 61) / 100f,
                "{\"shop\": \"north\", \"cost\": " + (i * 7 % 61) + "}, {\"shop\": \"south\", \"cost\": 1}"
            );
            bulk.add(client().prepareIndex(index).setId("p" + i).setSource(body, XContentType.JSON));
        }
        assertFalse(bulk.get().hasFailures());
        refresh(index);
        awaitAllCopies(index, 60);
    }

    private static Object answer(SearchRequest request) throws Exception {
        SearchResponse response = asker().search(request).actionGet();
        assertEquals(response.toString(), 0, response.getFailedShards());
        assertFalse(response.isTimedOut());
        BytesReference json = org.opensearch.core.xcontent.XContentHelper.toXContent(response, XContentType.JSON, ToXContent.EMPTY_PARAMS, false);
        Map<String, Object> answer = new TreeMap<>(XContentHelper.convertToMap(XContentType.JSON.xContent(), json.utf8ToString(), true));
        assertNull("nobody asked for a point in time", request.pointInTimeBuilder() == null ? answer.get("pit_id") : null);
        for (String own : List.of("took", "_shards", "pit_id", "num_reduce_phases", "suggest")) {
            answer.remove(own);
        }
        return comparable(answer);
    }

    /** Removes index, shard and document numbers. */
    private static Object comparable(Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> kept = new TreeMap<>();
            map.forEach((key, inner) -> {
                if (List.of("_index", "_shard", "_node", "_seq_no", "_version", "_primary_term").contains(key) == false) {
                    kept.put((String) key, comparable(inner));
                }
            });
            return kept;
        }
        if (value instanceof List<?> list) {
            List<Object> kept = new ArrayList<>();
            list.forEach(inner -> kept.add(comparable(inner)));
            return kept;
        }
        return value;
    }

    private static String body(String row) {
        return row.contains("\"size\"") ? "{" + row + "}" : "{\"size\": 15, " + row + "}";
    }

    public void testEveryRowByEveryWay() throws Exception {
        create("one", 1, 0);
        create("three", 3, 1);
        Map<String, Object> expected = new HashMap<>();
        for (Map.Entry<String, String> row : rows().entrySet()) {
            expected.put(row.getKey(), answer(asked("one", body(row.getValue()))));
        }
        assertTrue(expected.get("named legs").toString(), expected.get("named legs").toString().contains("matched_queries=[dear, inner]"));
        assertTrue(expected.get("inner hits").toString(), expected.get("inner hits").toString().contains("inner_hits={offers="));
        assertTrue(expected.get("highlight").toString(), expected.get("highlight").toString().contains("<em>chair</em>"));
        assertTrue(expected.get("explain").toString(), expected.get("explain").toString().contains("_explanation"));
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (Map.Entry<String, String> row : rows().entrySet()) {
                    // The option that forces two rounds affects OpenSearch's totals, on one shard too.
                    Object one = way == HybridWay.TWO_ROUNDS ? answer(asked("one", body(row.getValue()))) : expected.get(row.getKey());
                    assertEquals(row.getKey() + " by " + way, one, answer(askedOfThree(body(row.getValue()))));
                }
            });
        }
        assertNothingOpen();
    }

    public void testEveryRowInAPointInTime() throws Exception {
        create("one", 1, 0);
        create("three", 3, 1);
        for (HybridWay way : HybridWay.values()) {
            by(way, () -> {
                for (Map.Entry<String, String> row : rows().entrySet()) {
                    Object expected = answer(asked("one", body(row.getValue())));
                    String pit = openPointInTime("three");
                    SearchRequest request = asked("", body(row.getValue()));
                    request.source().pointInTimeBuilder(new PointInTimeBuilder(pit));
                    assertEquals(row.getKey() + " by " + way, expected, answer(request));
                    // The caller's point in time must remain open.
                    assertEquals(row.getKey() + " by " + way, expected, answer(request));
                    closePointInTime(pit);
                }
            });
        }
        assertNothingOpen();
    }

    private static String openPointInTime(String index) {
        var create = new org.opensearch.action.search.CreatePitRequest(
            org.opensearch.common.unit.TimeValue.timeValueMinutes(1),
            false,
            index
        );
        return asker().execute(org.opensearch.action.search.CreatePitAction.INSTANCE, create).actionGet().getId();
    }

    private static void closePointInTime(String id) {
        asker().execute(
            org.opensearch.action.search.DeletePitAction.INSTANCE,
            new org.opensearch.action.search.DeletePitRequest(id)
        ).actionGet();
    }
}
