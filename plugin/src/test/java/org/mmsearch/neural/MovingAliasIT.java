package org.mmsearch.neural;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;

import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.opensearch.action.admin.indices.alias.IndicesAliasesRequest.AliasActions;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.action.ActionFuture;
import org.opensearch.search.SearchHit;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Tests an alias that moves to an index with another encoder during encoding: no vector is sent to an index of another encoder. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class MovingAliasIT extends NeuralIT {

    private static final String NEURAL = "{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 3}}}";
    private static final String HYBRID = """
        {"hybrid": {"queries": [{"match": {"title": "chair"}}, %s]}}""".formatted(NEURAL);

    private final CountDownLatch held = new CountDownLatch(1);

    /** The first call waits for the test and uses the encoder f1, the others f2. */
    private void holdTheFirst() {
        triton.behave(asked -> {
            Behaviour answer = new Behaviour.Answer(a -> StubTriton.vectorOf(a.text()));
            boolean first = triton.calls.size() == 1;
            triton.fingerprint(first ? "f1" : "f2");
            return first ? new Behaviour.Held(held, answer) : answer;
        });
    }

    private void create(int shards) {
        createEncoded("old", shards, "f1");
        createEncoded("new", shards, "f2");
        indexProducts("old", 20);
        indexProducts("new", 30);
    }

    private static void move(AliasActions from, AliasActions to) {
        assertAcked(client().admin().indices().prepareAliases().addAliasAction(from).addAliasAction(to));
    }

    private SearchResponse movedMeanwhile(SearchRequest request, AliasActions to) throws Exception {
        holdTheFirst();
        ActionFuture<SearchResponse> answer = asker().search(request);
        assertBusy(() -> assertEquals(1, triton.calls.size()));
        move(AliasActions.remove().index("old").alias("shop"), to);
        held.countDown();
        return answer.actionGet();
    }

    private static Set<String> indices(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(SearchHit::getIndex).collect(Collectors.toSet());
    }

    private void alias(AliasActions alias) {
        assertAcked(client().admin().indices().prepareAliases().addAliasAction(alias));
    }

    private void stays(int shards, String query) throws Exception {
        create(shards);
        alias(AliasActions.add().index("old").alias("shop"));
        SearchResponse response = movedMeanwhile(
            asked("shop", "{\"size\": 100, \"query\": " + query + "}"),
            AliasActions.add().index("new").alias("shop")
        );
        assertEquals(Set.of("old"), indices(response));
        assertTrue(ids(response).containsAll(List.of("p6", "p7", "p8")));
        assertEquals(1, triton.calls.size());
        SearchResponse after = ask("shop", "{\"size\": 100, \"query\": " + query + "}");
        assertEquals(Set.of("new"), indices(after));
        assertEquals(2, triton.calls.size());
    }

    public void testNeural() throws Exception {
        stays(2, NEURAL);
    }

    public void testHybridInOneShard() throws Exception {
        stays(1, HYBRID);
    }

    public void testHybridInRounds() throws Exception {
        stays(3, HYBRID);
    }

    public void testAnAliasWithAFilterIsAskedAgain() throws Exception {
        create(2);
        alias(AliasActions.add().index("old").alias("shop").filter("{\"term\": {\"color\": \"red\"}}"));
        SearchResponse response = movedMeanwhile(
            asked("shop", "{\"size\": 100, \"query\": " + NEURAL + "}"),
            AliasActions.add().index("new").alias("shop").filter("{\"term\": {\"color\": \"blue\"}}")
        );
        assertEquals(Set.of("new"), indices(response));
        assertTrue(ids(response).contains("p7"));
        assertFalse(ids(response).contains("p8"));
        assertEquals(2, triton.calls.size());
    }

    public void testAnAliasWithARoutingIsAskedAgain() throws Exception {
        create(3);
        alias(AliasActions.add().index("old").alias("shop").searchRouting("a"));
        SearchResponse response = movedMeanwhile(
            asked("shop", "{\"size\": 100, \"query\": " + NEURAL + "}"),
            AliasActions.add().index("new").alias("shop")
        );
        assertEquals(Set.of("new"), indices(response));
        assertEquals(2, triton.calls.size());
    }
}
