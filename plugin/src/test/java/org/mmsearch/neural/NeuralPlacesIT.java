package org.mmsearch.neural;

import java.util.List;
import java.util.Set;

import org.opensearch.action.admin.indices.validate.query.ValidateQueryResponse;
import org.opensearch.action.explain.ExplainResponse;
import org.opensearch.action.search.CreatePitAction;
import org.opensearch.action.search.CreatePitRequest;
import org.opensearch.action.search.CreatePitResponse;
import org.opensearch.action.search.DeletePitAction;
import org.opensearch.action.search.DeletePitRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.search.aggregations.bucket.filter.Filter;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests all places where a neural clause is allowed, and those where it is not. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class NeuralPlacesIT extends NeuralIT {

    private static final String CLAUSE = "{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 3}}}";

    @Override
    public void setUp() throws Exception {
        super.setUp();
        createEncoded("products", 1, "f1");
        indexProducts("products", 20);
    }

    public void testBool() {
        assertEquals(Set.of("p6", "p8"), found("{\"bool\": {\"must\": %s, \"filter\": {\"term\": {\"color\": \"red\"}}}}"));
        assertEquals(17, ids(ask("products", "{\"size\": 20, \"query\": {\"bool\": {\"must_not\": %s}}}".formatted(CLAUSE))).size());
    }

    public void testFunctionScore() {
        SearchResponse response = ask("products", """
            {"query": {"function_score": {"query": %s, "functions": [{"filter": {"ids": {"values": ["p8"]}}, "weight": 10}]}}}"""
            .formatted(CLAUSE));
        assertEquals("p8", ids(response).get(0));
        assertEquals(3, response.getHits().getHits().length);
    }

    public void testConstantScore() {
        SearchResponse response = ask("products", "{\"query\": {\"constant_score\": {\"filter\": %s, \"boost\": 2}}}".formatted(CLAUSE));
        assertEquals(Set.of("p6", "p7", "p8"), Set.copyOf(ids(response)));
        assertEquals(2f, response.getHits().getMaxScore(), 0f);
    }

    public void testAggregationFilterAndPostFilter() {
        SearchResponse response = ask("products", """
            {"query": {"match_all": {}}, "post_filter": %s, "aggs": {"near": {"filter": %s}}}""".formatted(CLAUSE, CLAUSE));
        Filter near = response.getAggregations().get("near");
        assertEquals(3, near.getDocCount());
        assertEquals(Set.of("p6", "p7", "p8"), Set.copyOf(ids(response)));
        assertEquals(1, triton.calls.size());
    }

    public void testRescore() {
        SearchResponse response = ask("products", """
            {"query": {"match": {"title": "chair"}},
             "rescore": {"window_size": 20, "query": {"rescore_query": %s, "rescore_query_weight": 100}}}""".formatted(CLAUSE));
        assertEquals("p7", ids(response).get(0));
    }

    public void testCount() {
        assertEquals(3, ask("products", "{\"size\": 0, \"query\": %s}".formatted(CLAUSE)).getHits().getTotalHits().value());
    }

    public void testPointInTime() {
        CreatePitRequest create = new CreatePitRequest(TimeValue.timeValueMinutes(1), true, "products");
        CreatePitResponse pit = client().execute(CreatePitAction.INSTANCE, create).actionGet();
        client().prepareDelete("products", "p7").setRefreshPolicy(now()).get();
        SearchRequest request = asked("", "{\"query\": %s}".formatted(CLAUSE));
        request.source().pointInTimeBuilder(new PointInTimeBuilder(pit.getId()));
        assertEquals("p7", ids(client().search(request).actionGet()).get(0));
        client().execute(DeletePitAction.INSTANCE, new DeletePitRequest(pit.getId())).actionGet();
    }

    public void testExplain() {
        ExplainResponse response = client().prepareExplain("products", "p7").setQuery(new WrapperQueryBuilder(CLAUSE)).get();
        assertTrue(response.isMatch());
        assertEquals(1, triton.calls.size());
    }

    public void testValidateEncodesNothing() {
        ValidateQueryResponse valid = client().admin().indices().prepareValidateQuery("products")
            .setQuery(new WrapperQueryBuilder(CLAUSE))
            .setExplain(true)
            .get();
        assertTrue(valid.getQueryExplanation().toString(), valid.isValid());
        assertEquals(0, triton.calls.size());
        ValidateQueryResponse wrong = client().admin().indices().prepareValidateQuery("products")
            .setQuery(new WrapperQueryBuilder("{\"neural\": {\"title\": {\"query_text\": \"a\"}}}"))
            .setExplain(true)
            .get();
        assertFalse(wrong.isValid());
        assertTrue(wrong.getQueryExplanation().get(0).getError().contains("must be a knn_vector"));
    }

    public void testProfile() {
        SearchResponse response = ask("products", "{\"profile\": true, \"query\": %s}".formatted(CLAUSE));
        assertEquals("p7", ids(response).get(0));
        assertFalse(response.getProfileResults().isEmpty());
    }

    public void testInItsOwnFilter() {
        String inner = "{\"neural\": {\"v\": {\"query_text\": \"ninechars\", \"k\": 3}}}";
        assertEquals(
            Set.of("p8", "p9"),
            found("{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 2, \"filter\": " + inner + "}}}")
        );
    }

    public void testAnIndexPatternThatMatchesNothing() {
        assertEquals(List.of(), ids(ask("none-*", "{\"query\": %s}".formatted(CLAUSE))));
    }

    public void testAnAliasFilterIsRejected() {
        Exception e = expectThrows(
            IllegalArgumentException.class,
            () -> client().admin().indices().prepareAliases().addAlias("products", "near", CLAUSE).get()
        );
        assertTrue(e.getCause().toString(), e.getCause().getMessage().contains("[neural] is encoded on the coordinating node"));
    }

    public void testAnotherClusterIsAskedItself() {
        String message = failure("elsewhere:products", "{\"query\": %s}".formatted(CLAUSE));
        assertTrue(message, message.contains("got [elsewhere:products]") && message.contains("send the search to that cluster"));
    }

    private static Set<String> found(String query) {
        return Set.copyOf(ids(ask("products", "{\"query\": " + query.replace("%s", CLAUSE) + "}")));
    }
}
