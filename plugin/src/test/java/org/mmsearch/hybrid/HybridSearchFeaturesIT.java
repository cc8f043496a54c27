package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;

import org.mmsearch.MmsearchIT;
import org.opensearch.action.admin.indices.alias.IndicesAliasesRequest.AliasActions;
import org.opensearch.action.search.CreatePitAction;
import org.opensearch.action.search.CreatePitRequest;
import org.opensearch.action.search.DeletePitAction;
import org.opensearch.action.search.DeletePitRequest;
import org.opensearch.action.search.MultiSearchRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchType;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.aggregations.bucket.filter.Filter;
import org.opensearch.search.aggregations.bucket.terms.Terms;
import org.opensearch.search.builder.PointInTimeBuilder;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/**
 * Tests search features around a hybrid, on one shard and on three.
 *
 * <p>Products p1 to p20 cost 1 to 20, are red if even and blue if odd, and have the distances 20 to 1 from the origin. By price alone, with
 * a window of 10, p20 is first with 1 and p11 last.
 */
public class HybridSearchFeaturesIT extends MmsearchIT {

    private static final String PRICE = """
        {"function_score": {"query": {"match": {"title": "chair"}}, "boost_mode": "replace",
          "field_value_factor": {"field": "price"}, "_name": "price"}}""";
    private static final String NEAR = """
        {"knn": {"v": {"vector": [0, 0], "k": 20}}}""";
    private static final int[] SHARDS = { 1, 3 };

    private static String hybrid(String rest, String... legs) {
        return "{\"hybrid\": {\"pagination_depth\": 10, \"queries\": [" + String.join(",", legs) + "]" + rest + "}}";
    }

    private static List<String> ids(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(SearchHit::getId).toList();
    }

    private static List<String> down(int from, int to) {
        List<String> ids = new ArrayList<>();
        for (int i = from; i >= to; i--) {
            ids.add("p" + i);
        }
        return ids;
    }

    private String products(int shards) {
        String index = "products" + shards;
        createProducts(index, shards, 2);
        for (int i = 1; i <= 20; i++) {
            String body = "{\"title\": \"chair number %s\", \"color\": \"%s\", \"price\": %s, \"v\": [%s, 0]}".formatted(
                i,
                i % 2 == 0 ? "red" : "blue",
                i,
                21 - i
            );
            client().prepareIndex(index).setId("p" + i).setSource(body, XContentType.JSON).get();
        }
        refresh(index);
        return index;
    }

    public void testMinScoreAfterFusion() {
        for (int shards : SHARDS) {
            // Prices 20 to 11 become (p − 11) / 9: p16 has 0.556, p15 0.444.
            assertEquals(down(20, 16), ids(ask(products(shards), "{\"min_score\": 0.5, \"query\": " + hybrid("", PRICE) + "}")));
        }
    }

    public void testPostFilter() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String body = "{\"post_filter\": {\"term\": {\"color\": \"blue\"}}, \"query\": " + hybrid("", PRICE)
                + ", \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}}";
            SearchResponse response = ask(index, body);
            assertEquals(List.of("p19", "p17", "p15", "p13", "p11"), ids(response));
            Terms colors = response.getAggregations().get("c");
            assertEquals(5, colors.getBucketByKey("red").getDocCount());
        }
    }

    public void testSortWithSearchAfter() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String body = "{\"size\": 4, \"sort\": [{\"price\": \"asc\"}], \"query\": " + hybrid("", PRICE) + "%s}";
            assertEquals(List.of("p11", "p12", "p13", "p14"), ids(ask(index, body.formatted(""))));
            assertEquals(List.of("p15", "p16", "p17", "p18"), ids(ask(index, body.formatted(", \"search_after\": [14]"))));
            assertEquals(List.of("p19", "p20"), ids(ask(index, body.formatted(", \"search_after\": [18]"))));
        }
    }

    public void testCollapseWithInnerHits() {
        for (int shards : SHARDS) {
            String body = "{\"collapse\": {\"field\": \"color\", \"inner_hits\": {\"name\": \"group\", \"size\": 3}}, \"query\": "
                + hybrid("", PRICE) + "}";
            SearchResponse response = ask(products(shards), body);
            assertEquals(List.of("p20", "p19"), ids(response));
            SearchHit[] group = response.getHits().getAt(0).getInnerHits().get("group").getHits();
            assertEquals(List.of("p20", "p18", "p16"), Arrays.stream(group).map(SearchHit::getId).toList());
        }
    }

    public void testHighlight() {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (String type : List.of("unified", "plain")) {
                String body = "{\"highlight\": {\"fields\": {\"title\": {\"type\": \"" + type + "\"}}}, \"query\": " + hybrid("", PRICE) + "}";
                SearchHit first = ask(index, body).getHits().getAt(0);
                assertEquals(type, "<em>chair</em> number 20", first.getHighlightFields().get("title").fragments()[0].string());
            }
        }
    }

    public void testRescore() {
        for (int shards : SHARDS) {
            String body = "{\"rescore\": {\"window_size\": 10, \"query\": {\"rescore_query_weight\": 5, \"rescore_query\": "
                + "{\"constant_score\": {\"filter\": {\"term\": {\"color\": \"blue\"}}}}}}, \"query\": " + hybrid("", PRICE) + "}";
            assertEquals(
                List.of("p19", "p17", "p15", "p13", "p11", "p20"),
                ids(ask(products(shards), body)).subList(0, 6)
            );
        }
    }

    public void testBusinessBoosts() {
        for (int shards : SHARDS) {
            String boosted = "{\"function_score\": {\"query\": " + hybrid("", PRICE)
                + ", \"functions\": [{\"filter\": {\"term\": {\"color\": \"blue\"}}, \"weight\": 3}]}}";
            SearchResponse response = ask(products(shards), "{\"query\": " + boosted + "}");
            assertEquals("p19", response.getHits().getAt(0).getId());
            assertEquals(3 * 8f / 9, response.getHits().getAt(0).getScore(), 1e-5f);
            assertNotNull(response.getHits().getAt(0).field("_legs"));
        }
    }

    /** One profile per shard, and one more of its legs if they run in a separate round. */
    public void testProfileShowsTheLegs() throws Exception {
        for (int shards : SHARDS) {
            String index = products(shards);
            for (HybridWay way : HybridWay.values()) {
                by(way, () -> {
                    SearchResponse response = ask(index, "{\"profile\": true, \"query\": " + hybrid("", PRICE, NEAR) + "}");
                    assertEquals(10, response.getHits().getHits().length);
                    assertTrue(response.getProfileResults().toString(), response.toString().contains("FunctionScoreQuery"));
                    int rounds = shards == 1 || way == HybridWay.ONE_SEARCH ? 1 : 2;
                    assertEquals(rounds * shards, response.getProfileResults().size());
                });
            }
        }
    }

    public void testTrackTotalHits() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String query = "\"query\": " + hybrid("", PRICE) + "}";
            assertNull(ask(index, "{\"track_total_hits\": false, " + query).getHits().getTotalHits());
            assertEquals(10, ask(index, "{\"track_total_hits\": true, " + query).getHits().getTotalHits().value());
        }
    }

    public void testTotalsAndFacetsOverTheWindowOrOverAllMatches() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String body = "{\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}, \"query\": %s}";
            SearchResponse window = ask(index, body.formatted(hybrid("", PRICE)));
            assertEquals(10, window.getHits().getTotalHits().value());
            assertEquals(5, ((Terms) window.getAggregations().get("c")).getBucketByKey("red").getDocCount());
            SearchResponse all = ask(index, body.formatted(hybrid(", \"totals\": \"all\"", PRICE)));
            assertEquals(20, all.getHits().getTotalHits().value());
            assertEquals(10, ((Terms) all.getAggregations().get("c")).getBucketByKey("red").getDocCount());
            assertEquals(ids(window), ids(all));
        }
    }

    public void testCutoffThatFacetsFollow() {
        for (int shards : SHARDS) {
            String body = "{\"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}, \"query\": "
                + hybrid(", \"cutoff\": {\"relative_max\": 0.7}", PRICE) + "}";
            SearchResponse response = ask(products(shards), body);
            // 1, 8/9 and 7/9 are kept, 6/9 is not.
            assertEquals(down(20, 18), ids(response));
            assertEquals(3, response.getHits().getTotalHits().value());
            assertEquals(2, ((Terms) response.getAggregations().get("c")).getBucketByKey("red").getDocCount());
        }
    }

    public void testNothingRelevantNothingReturned() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String none = "{\"match\": {\"title\": \"zebra\"}}";
            String far = "{\"knn\": {\"v\": {\"vector\": [1000, 0], \"min_score\": 0.5}}}";
            assertEquals(0, ask(index, "{\"query\": " + hybrid("", none, far) + "}").getHits().getTotalHits().value());
        }
    }

    public void testPointInTimePagesWithoutRepeatsOrGaps() {
        for (int shards : SHARDS) {
            String index = products(shards);
            CreatePitRequest create = new CreatePitRequest(TimeValue.timeValueMinutes(1), true, index);
            String pit = client().execute(CreatePitAction.INSTANCE, create).actionGet().getId();
            List<String> pages = new ArrayList<>();
            for (int from = 0; from < 10; from += 3) {
                SearchRequest page = asked("", "{\"from\": " + from + ", \"size\": " + Math.min(3, 10 - from) + ", \"query\": "
                    + hybrid("", PRICE, NEAR) + "}");
                page.indices(new String[0]);
                page.source().pointInTimeBuilder(new PointInTimeBuilder(pit));
                pages.addAll(ids(asker().search(page).actionGet()));
                // Later documents must not change the pages.
                String body = "{\"title\": \"chair\", \"price\": 1000, \"v\": [0, 0]}";
                client().prepareIndex(index).setId("late" + from).setSource(body, XContentType.JSON).get();
                refresh(index);
            }
            assertEquals(10, pages.size());
            assertEquals(new HashSet<>(down(20, 11)), new HashSet<>(pages));
            client().execute(DeletePitAction.INSTANCE, new DeletePitRequest(pit)).actionGet();
        }
    }

    public void testAliasFiltersHoldInEachLeg() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String alias = "blue" + shards;
            AliasActions add = AliasActions.add().index(index).alias(alias).filter("{\"term\": {\"color\": \"blue\"}}");
            assertAcked(client().admin().indices().prepareAliases().addAliasAction(add));
            SearchResponse response = ask(alias, "{\"query\": " + hybrid("", PRICE, NEAR) + "}");
            // All ten blue products fill the window; a window filled before the filter would hold five.
            assertEquals(10, response.getHits().getTotalHits().value());
            assertEquals("p19", response.getHits().getAt(0).getId());
            assertEquals(1f, response.getHits().getAt(0).getScore(), 1e-6f);
        }
    }

    public void testRoutingAndPreferenceChooseTheShards() {
        String index = products(3);
        int sum = 0;
        String wide = hybrid("", PRICE).replace("\"pagination_depth\": 10", "\"pagination_depth\": 20");
        for (int shard = 0; shard < 3; shard++) {
            SearchRequest one = asked(index, "{\"query\": " + wide + "}").preference("_shards:" + shard);
            SearchResponse response = asker().search(one).actionGet();
            assertEquals(1, response.getTotalShards());
            sum += (int) response.getHits().getTotalHits().value();
            assertTrue(response.getHits().getTotalHits().value() < 20);
        }
        assertEquals(20, sum);
        SearchRequest routed = asked(index, "{\"query\": " + hybrid("", PRICE) + "}").routing("p20");
        assertEquals("p20", asker().search(routed).actionGet().getHits().getAt(0).getId());
        SearchRequest two = asked(index, "{\"query\": " + hybrid("", PRICE) + "}").preference("_shards:0,1");
        assertEquals(2, asker().search(two).actionGet().getTotalShards());
    }

    public void testGlobalStatisticsReachTheLegs() {
        String index = products(3);
        String match = "{\"match\": {\"title\": \"chair\"}}";
        SearchRequest dfs = asked(index, "{\"query\": " + hybrid("", match) + "}").searchType(SearchType.DFS_QUERY_THEN_FETCH);
        SearchResponse response = asker().search(dfs).actionGet();
        // With global statistics, all titles, three words each, score the same on every shard.
        assertEquals(1, Arrays.stream(response.getHits().getHits()).map(hit -> raw(hit)).distinct().count());
    }

    private static Object raw(SearchHit hit) {
        return ((Map<?, ?>) hit.field("_legs").getValues().get(0)).get("score");
    }

    public void testSeveralInOneRequest() {
        for (int shards : SHARDS) {
            String index = products(shards);
            String body = "{\"query\": {\"bool\": {\"should\": [" + hybrid("", PRICE) + "," + hybrid("", NEAR) + "]}}, \"aggs\": {\"f\": {"
                + "\"filter\": " + hybrid(", \"filter\": {\"term\": {\"color\": \"red\"}}", PRICE) + "}}}";
            SearchResponse response = ask(index, body);
            assertEquals("p20", response.getHits().getAt(0).getId());
            assertEquals(2f, response.getHits().getAt(0).getScore(), 1e-6f);
            assertEquals(5, ((Filter) response.getAggregations().get("f")).getDocCount());
        }
    }

    public void testHybridInsideAHybrid() {
        for (int shards : SHARDS) {
            SearchResponse response = ask(products(shards), "{\"query\": " + hybrid("", hybrid("", PRICE), NEAR) + "}");
            assertEquals("p20", response.getHits().getAt(0).getId());
            assertEquals(1f, response.getHits().getAt(0).getScore(), 1e-6f);
        }
    }

    public void testMultiSearchAndCount() {
        String index = products(3);
        String body = "{\"query\": " + hybrid("", PRICE) + "}";
        MultiSearchRequest both = new MultiSearchRequest().add(asked(index, body)).add(asked(index, body));
        for (var item : asker().multiSearch(both).actionGet()) {
            assertEquals(down(20, 11), ids(item.getResponse()));
        }
        assertEquals(10, ask(index, "{\"size\": 0, \"query\": " + hybrid("", PRICE) + "}").getHits().getTotalHits().value());
    }

    public void testExplainAndValidateApis() {
        String index = products(3);
        var query = new WrapperQueryBuilder(hybrid("", PRICE, NEAR));
        var explained = client().prepareExplain(index, "p20").setQuery(query).get();
        assertTrue(explained.isMatch());
        assertTrue(explained.getExplanation().toString(), explained.getExplanation().toString().contains("leg [price]"));
        var valid = client().admin().indices().prepareValidateQuery(index).setQuery(query).setExplain(true).get();
        assertTrue(valid.getQueryExplanation().toString(), valid.isValid());
    }

    public void testScrollAndSlicesAreRefused() {
        String index = products(3);
        SearchRequest scroll = asked(index, "{\"query\": " + hybrid("", PRICE) + "}").scroll(TimeValue.timeValueMinutes(1));
        Exception e = expectThrows(Exception.class, () -> asker().search(scroll).actionGet());
        assertTrue(e.toString(), e.toString().contains("[hybrid] does not support scroll"));
        String sliced = failure(index, "{\"slice\": {\"id\": 0, \"max\": 2}, \"query\": " + hybrid("", PRICE) + "}");
        assertTrue(sliced, sliced.contains("[hybrid] does not support [slice]"));
        CreatePitRequest create = new CreatePitRequest(TimeValue.timeValueMinutes(1), true, index);
        String pit = client().execute(CreatePitAction.INSTANCE, create).actionGet().getId();
        String slice = failure("", "{\"pit\": {\"id\": \"" + pit + "\"}, \"slice\": {\"id\": 0, \"max\": 2}, \"query\": " + hybrid("", PRICE) + "}");
        assertTrue(slice, slice.contains("[hybrid] does not support [slice]"));
        client().execute(DeletePitAction.INSTANCE, new DeletePitRequest(pit)).actionGet();
        String remote = failure("other:" + index, "{\"query\": " + hybrid("", PRICE) + "}");
        assertTrue(remote, remote.contains("[hybrid] does not support remote clusters"));
    }

    public void testAliasFilterCannotBeAHybrid() {
        String index = products(1);
        AliasActions add = AliasActions.add().index(index).alias("fused").filter(hybrid("", PRICE));
        Exception e = expectThrows(Exception.class, () -> client().admin().indices().prepareAliases().addAliasAction(add).get());
        assertTrue(e.toString(), e.toString().contains("that only shards evaluate") || e.getCause().toString().contains("that only shards evaluate"));
    }

    public void testMissingIndexIsTheSearchsOwnError() {
        Exception e = expectThrows(Exception.class, () -> ask("nowhere", "{\"query\": " + hybrid("", PRICE) + "}"));
        assertTrue(e.toString(), e.toString().contains("no such index [nowhere]"));
    }

    public void testEvidenceCanBeLeftOut() {
        String index = products(1);
        assertNull(ask(index, "{\"query\": " + hybrid(", \"evidence\": false", PRICE) + "}").getHits().getAt(0).field("_legs"));
    }
}
