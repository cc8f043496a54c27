package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.action.admin.indices.alias.IndicesAliasesRequest.AliasActions;
import org.opensearch.action.bulk.BulkRequestBuilder;
import org.opensearch.action.explain.ExplainRequest;
import org.opensearch.action.explain.ExplainResponse;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.aggregations.bucket.filter.Filter;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/**
 * Tests that filters outside the query apply before nearest neighbors are chosen. An alias must return the same hits as its filter inside
 * the clause; security must return the same hits as an index with only the visible products. {@code -Dtests.filters=N} sets the number of
 * filters; a failure prints its seed.
 */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class OuterFilterIT extends NeuralIT {

    private static final int PRODUCTS = 400;
    private static final String[] WORDS = { "chair", "lamp", "desk", "sofa" };

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(SimulatedSecurity.class);
        return plugins;
    }

    /** Products at random angles, each with its own number in the field {@code n}. */
    private List<String> products(int count) {
        List<String> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            double angle = randomDoubleBetween(0, Math.PI, true);
            String vector = Arrays.toString(new double[] { Math.cos(angle), Math.sin(angle) });
            all.add(
                String.format(
                    Locale.ROOT,
                    "{\"title\": \"%s %s\", \"color\": \"%s\", \"n\": %s, \"v\": %s, \"images\": [{\"v\": %s}, {\"v\": [%s, -1]}]}",
                    randomFrom(WORDS),
                    randomFrom(WORDS),
                    rarely() ? "red" : randomFrom("blue", "green"),
                    i,
                    vector,
                    vector,
                    i
                )
            );
        }
        return all;
    }

    private void fill(String index, int shards, List<String> products) {
        createEncoded(index, shards, "f1");
        BulkRequestBuilder bulk = client().prepareBulk();
        for (int i = 0; i < products.size(); i++) {
            if (products.get(i) != null) {
                bulk.add(client().prepareIndex(index).setId("p" + i).setSource(products.get(i), XContentType.JSON));
            }
        }
        assertFalse(bulk.get().hasFailures());
        client().admin().indices().prepareRefresh(index).get();
    }

    private static void alias(String index, String alias, String filter) {
        client().admin()
            .indices()
            .prepareAliases()
            .addAliasAction(AliasActions.add().index(index).alias(alias).filter(filter))
            .get();
    }

    private static String aFilter() {
        int from = randomInt(PRODUCTS);
        String range = "{\"range\": {\"n\": {\"gte\": %s, \"lt\": %s}}}".formatted(from, from + randomIntBetween(1, randomBoolean() ? 15 : 200));
        return switch (randomInt(4)) {
            case 0 -> range;
            case 1 -> "{\"term\": {\"color\": \"red\"}}";
            case 2 -> "{\"bool\": {\"filter\": [" + range + ", {\"term\": {\"color\": \"blue\"}}]}}";
            case 3 -> "{\"bool\": {\"must_not\": [" + range + "]}}";
            default -> "{\"terms\": {\"n\": " + Arrays.toString(randomInts(8)) + "}}";
        };
    }

    private static int[] randomInts(int count) {
        int[] all = new int[count];
        Arrays.setAll(all, i -> randomInt(PRODUCTS));
        return all;
    }

    /** Every clause with {@code %s} for its filter: empty, or the key. */
    private static List<String> clauses() {
        String word = randomFrom(WORDS);
        int k = randomFrom(3, 10, 100);
        String text = "x".repeat(randomIntBetween(1, 30));
        String neural = "\"query_text\": \"%s\", \"k\": %s".formatted(text, k);
        String match = "{\"match\": {\"title\": \"%s\"}}".formatted(word);
        String vector = Arrays.toString(StubTriton.vectorOf(text));
        return List.of(
            "{\"neural\": {\"v\": {" + neural + "%s}}}",
            "{\"neural\": {\"v\": {" + neural + ", \"cutoff\": {\"relative_max\": 0.9}%s}}}",
            "{\"neural\": {\"v\": {" + neural + ", \"cutoff\": {\"min_score\": 0.8}%s}}}",
            "{\"neural\": {\"v\": {\"query_text\": \"" + text + "\", \"min_score\": 0.95%s}}}",
            "{\"neural\": {\"v\": {\"query_text\": \"" + text + "\", \"max_distance\": 0.05%s}}}",
            "{\"neural\": {\"v\": {\"like\": {\"_id\": \"p7\", \"_index\": \"INDEX\"}, \"k\": " + k + "%s}}}",
            "{\"nested\": {\"path\": \"images\", \"query\": {\"neural\": {\"images.v\": {" + neural + "%s}}}}}",
            "{\"hybrid\": {\"queries\": [" + match + ", {\"neural\": {\"v\": {" + neural + "}}}]%s}}",
            "{\"hybrid\": {\"queries\": [{\"neural\": {\"v\": {" + neural + "}}}], \"cutoff\": {\"relative_max\": 0.5}%s}}",
            "{\"hybrid\": {\"queries\": [" + match + ", {\"knn\": {\"v\": {\"vector\": " + vector + ", \"k\": " + k + "}}}]%s}}",
            "{\"hybrid\": {\"queries\": [{\"bool\": {\"must\": [{\"knn\": {\"v\": {\"vector\": " + vector + ", \"k\": " + k
                + ", \"boost\": 2%s}}}]}}], \"totals\": \"all\"}}"
        );
    }

    private static List<String> hits(SearchResponse response) {
        assertEquals(Arrays.toString(response.getShardFailures()), 0, response.getFailedShards());
        return Arrays.stream(response.getHits().getHits())
            .map(hit -> hit.getId() + " " + hit.getScore() + " " + hit.field("_legs"))
            .toList();
    }

    private static SearchResponse search(String index, String query) {
        return ask(index, "{\"size\": 50, \"query\": " + query + "}");
    }

    private void assertLikeInside(String index) {
        int filters = Integer.getInteger("tests.filters", 100);
        int found = 0;
        for (int i = 0; i < filters; i++) {
            String filter = aFilter();
            String alias = index + "-alias" + i;
            alias(index, alias, filter);
            for (String clause : clauses()) {
                String here = clause.replace("INDEX", index);
                SearchResponse inside = search(index, here.replace("%s", ", \"filter\": " + filter));
                SearchResponse by = search(alias, here.replace("%s", ""));
                assertEquals(filter + " and " + here, hits(inside), hits(by));
                assertEquals(filter + " and " + here, inside.getHits().getTotalHits(), by.getHits().getTotalHits());
                found += by.getHits().getHits().length;
            }
        }
        assertTrue("expected that random filters let something through", found > filters);
    }

    public void testAnAliasFindsWhatItsFilterInsideTheClauseFindsOnOneShard() {
        fill("one", 1, products(PRODUCTS));
        assertLikeInside("one");
    }

    public void testAnAliasFindsWhatItsFilterInsideTheClauseFindsOnThreeShards() {
        fill("three", 3, products(PRODUCTS));
        assertLikeInside("three");
    }

    public void testTwoAliasesWithFiltersOfTheirOwn() {
        fill("left", 1, products(PRODUCTS));
        fill("right", 2, products(PRODUCTS));
        alias("left", "left-red", "{\"term\": {\"color\": \"red\"}}");
        alias("right", "right-low", "{\"range\": {\"n\": {\"lt\": 20}}}");
        String filter = """
            {"bool": {"should": [
              {"bool": {"filter": [{"term": {"_index": "left"}}, {"term": {"color": "red"}}]}},
              {"bool": {"filter": [{"term": {"_index": "right"}}, {"range": {"n": {"lt": 20}}}]}}]}}
            """;
        for (int i = 0; i < 5; i++) {
            for (String clause : clauses()) {
                String here = clause.replace("INDEX", "left");
                List<String> inside = hits(search("left,right", here.replace("%s", ", \"filter\": " + filter)));
                assertEquals(here, inside, hits(search("left-red,right-low", here.replace("%s", ""))));
            }
        }
    }

    /** One product of shop b is farther away than all of shop a. */
    private void shops(String index, int shards) {
        createEncoded(index, shards, "f1");
        for (int i = 1; i <= 4; i++) {
            shop(index, "a" + i, "a", "[1, 0." + i + "]");
        }
        shop(index, "b", "b", "[1, 2]");
        alias(index, index + "-b", "{\"term\": {\"color\": \"b\"}}");
    }

    private static void shop(String index, String id, String shop, String vector) {
        String source = "{\"title\": \"chair\", \"color\": \"%s\", \"v\": %s}".formatted(shop, vector);
        client().prepareIndex(index).setId(id).setSource(source, XContentType.JSON).setRefreshPolicy(now()).get();
    }

    private static final String NEURAL = "{\"neural\": {\"v\": {\"query_text\": \"x\", \"k\": 2}}}";

    public void testEveryPlaceOfAClause() throws Exception {
        for (int shards : List.of(1, 3)) {
            String index = "shops" + shards;
            shops(index, shards);
            String alias = index + "-b";
            for (String query : List.of(
                NEURAL,
                "{\"bool\": {\"should\": [" + NEURAL + "]}}",
                "{\"constant_score\": {\"filter\": " + NEURAL + "}}",
                "{\"function_score\": {\"query\": " + NEURAL + ", \"min_score\": 0.1}}",
                "{\"hybrid\": {\"queries\": [{\"match\": {\"title\": \"chair\"}}, " + NEURAL + "]}}"
            )) {
                assertEquals(query, List.of("b"), ids(search(alias, query)));
                assertEquals(1, ask(alias, "{\"size\": 0, \"query\": " + query + "}").getHits().getTotalHits().value());
                ExplainResponse explained = asker().explain(
                    new ExplainRequest(alias, "b").query(new WrapperQueryBuilder(query))
                ).actionGet();
                assertTrue(query + ": " + explained.getExplanation(), explained.isMatch());
                SearchHit hit = ask(alias, "{\"explain\": true, \"query\": " + query + "}").getHits().getAt(0);
                assertTrue(query + ": " + hit.getExplanation(), hit.getExplanation().isMatch());
            }
            SearchResponse facets = ask(alias, "{\"size\": 0, \"aggs\": {\"near\": {\"filter\": " + NEURAL + "}}}");
            assertEquals(1, ((Filter) facets.getAggregations().get("near")).getDocCount());
            assertEquals(List.of("b"), ids(ask(alias, "{\"query\": {\"match_all\": {}}, \"post_filter\": " + NEURAL + "}")));
            SearchResponse dfs = asker().search(
                asked(alias, "{\"query\": " + NEURAL + "}").searchType(org.opensearch.action.search.SearchType.DFS_QUERY_THEN_FETCH)
            ).actionGet();
            assertEquals(List.of("b"), ids(dfs));
        }
    }

    public void testNamesAndInnerHitsByAnAlias() {
        for (int shards : List.of(1, 3)) {
            String index = "inner" + shards;
            fill(index, shards, products(PRODUCTS));
            alias(index, index + "-red", "{\"term\": {\"color\": \"red\"}}");
            String query = "{\"nested\": {\"path\": \"images\", \"_name\": \"parts\", \"inner_hits\": {}, \"query\": "
                + "{\"neural\": {\"images.v\": {\"query_text\": \"xxxx\", \"k\": 5, \"_name\": \"near\"}}}}}";
            SearchResponse found = search(index + "-red", query);
            assertTrue(found.getHits().getHits().length > 0);
            for (SearchHit hit : found.getHits()) {
                assertEquals("red", hit.getSourceAsMap().get("color"));
                assertEquals(1, hit.getInnerHits().get("images").getHits().length);
                assertTrue(List.of(hit.getMatchedQueries()).contains("parts"));
            }
        }
    }

    public void testFiltersNextToTheClauseApplyAfterwards() {
        shops("beside", 1);
        String rule = "{\"constant_score\": {\"filter\": {\"term\": {\"color\": \"b\"}}}}";
        assertEquals(List.of(), ids(search("beside", "{\"bool\": {\"must\": [" + NEURAL + "], \"filter\": [" + rule + "]}}")));
        // The same form as the security plugin's query, but from the caller.
        String shaped = "{\"bool\": {\"must\": [%s], \"should\": [%s], \"minimum_should_match\": 1}}";
        assertEquals(List.of(), ids(search("beside", shaped.formatted(NEURAL, rule))));
        // A k-NN query outside a hybrid is not changed.
        assertEquals(List.of(), ids(search("beside-b", "{\"knn\": {\"v\": {\"vector\": [1, 0.1], \"k\": 2}}}")));
    }

    public void testUnderSecurityAsInAnIndexOfTheVisibleAlone() {
        for (int shards : List.of(1, 3)) {
            List<String> products;
            List<String> visible;
            int red;
            do {
                // Draw again if no product is visible.
                products = products(PRODUCTS);
                visible = products.stream().map(p -> p.contains("\"red\"") ? p : null).toList();
                red = (int) visible.stream().filter(p -> p != null).count();
            } while (red == 0);
            fill("secured" + shards, shards, products);
            fill("visible" + shards, shards, visible);
            for (int i = 0; i < 20; i++) {
                String text = "x".repeat(randomIntBetween(1, 30));
                String neural = "{\"neural\": {\"v\": {\"query_text\": \"" + text + "\", \"k\": " + randomFrom(2, 5, 100) + "}}}";
                String word = "{\"constant_score\": {\"filter\": {\"match\": {\"title\": \"" + randomFrom(WORDS) + "\"}}}}";
                String number = "{\"function_score\": {\"query\": {\"match_all\": {}}, \"field_value_factor\": {\"field\": \"n\"}}}";
                String knn = "{\"knn\": {\"v\": {\"vector\": " + Arrays.toString(StubTriton.vectorOf(text)) + ", \"k\": 4}}}";
                String nested = "{\"nested\": {\"path\": \"images\", \"query\": " + neural.replace("\"v\"", "\"images.v\"") + "}}";
                String hybrid = "{\"hybrid\": {\"queries\": [" + String.join(", ", List.of(neural, word, number, knn, nested))
                    + "], \"pagination_depth\": 5%s}}";
                for (String query : List.of(
                    neural,
                    nested,
                    hybrid.replace("%s", ""),
                    hybrid.replace("%s", ", \"totals\": \"all\""),
                    hybrid.replace("%s", ", \"cutoff\": {\"relative_max\": 0.6}"),
                    "{\"bool\": {\"must\": [" + hybrid.replace("%s", "") + "]}}"
                )) {
                    String body = "{\"size\": 5, \"aggs\": {\"c\": {\"terms\": {\"field\": \"color\"}}}, \"query\": " + query + "}";
                    SearchResponse secured = ask("secured" + shards, body);
                    SearchResponse alone = ask("visible" + shards, body);
                    assertEquals(query, ids(alone), ids(secured));
                    assertEquals(query, alone.getHits().getTotalHits(), secured.getHits().getTotalHits());
                    assertEquals(query, legs(alone), legs(secured));
                    assertEquals(query, alone.getAggregations().asList().toString(), secured.getAggregations().asList().toString());
                }
            }
        }
    }

    private static List<String> legs(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(hit -> String.valueOf(hit.field("_legs"))).toList();
    }
}
