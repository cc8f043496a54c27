package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Ranking;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchType;
import org.opensearch.core.action.ActionListener;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.client.Client;

/**
 * Runs the legs of a hybrid on several shards, as one search that brings back their handles and nothing else, and fuses them
 * into a query over the winners.
 */
final class Rounds {

    private static final String LEGS = "legs";

    private final HybridClause clause;
    private final SearchNotes notes;

    /**
     * @param clause the hybrid's
     * @param notes of the search that asks, or null outside a search
     */
    Rounds(HybridClause clause, SearchNotes notes) {
        this.clause = clause;
        this.notes = notes;
    }

    /**
     * @param client of the node
     * @param original the request that the hybrid stands in
     * @param legs the legs, rewritten
     * @param described the rest of the hybrid
     * @param listener is given the query that takes the hybrid's place
     */
    void run(Client client, SearchRequest original, List<QueryBuilder> legs, Legs described, ActionListener<QueryBuilder> listener) {
        long start = System.nanoTime();
        SearchRequest round = round(original, legs, described.fusion().window());
        client.execute(SearchAction.INSTANCE, round, ActionListener.wrap(response -> {
            long answered = System.nanoTime();
            note(response);
            QueryBuilder winners = winners(response, legs, described);
            clause.stats().byRounds(answered - start, System.nanoTime() - answered);
            listener.onResponse(winners);
        }, listener::onFailure));
    }

    private SearchRequest round(SearchRequest original, List<QueryBuilder> legs, int window) {
        SearchRequest round = new SearchRequest(original);
        SearchSourceBuilder asked = original.source();
        SearchSourceBuilder source = new SearchSourceBuilder().size(0)
            .trackTotalHits(false)
            .query(carrier(original, legs))
            .aggregation(new LegsAggregationBuilder(LEGS, clause, legs, window));
        if (asked != null) {
            source.timeout(asked.timeout()).profile(asked.profile());
            if (asked.pointInTimeBuilder() != null) {
                source.pointInTimeBuilder(asked.pointInTimeBuilder());
            }
        }
        round.source(source);
        round.pipeline("_none");
        // Handles are worth nothing after the second round, so they are not worth a place in the request cache.
        round.requestCache(false);
        if (notes != null) {
            round.setParentTask(notes.task());
        }
        return round;
    }

    /** The aggregation runs the legs; the query beside it only has to show their terms where global statistics are asked for. */
    private static QueryBuilder carrier(SearchRequest original, List<QueryBuilder> legs) {
        if (original.searchType() != SearchType.DFS_QUERY_THEN_FETCH) {
            return new MatchAllQueryBuilder();
        }
        BoolQueryBuilder terms = new BoolQueryBuilder();
        legs.forEach(terms::should);
        return new BoolQueryBuilder().must(new MatchAllQueryBuilder()).should(terms);
    }

    private void note(SearchResponse response) {
        if (notes == null) {
            return;
        }
        notes.failed(List.of(response.getShardFailures()));
        if (response.isTimedOut()) {
            notes.timedOut();
        }
        if (response.getProfileResults().isEmpty() == false) {
            notes.profiled(response.getProfileResults());
        }
    }

    private QueryBuilder winners(SearchResponse response, List<QueryBuilder> legs, Legs described) {
        InternalLegs found = response.getAggregations() == null ? null : response.getAggregations().get(LEGS);
        if (found == null || found.shards().isEmpty()) {
            return new MatchNoneQueryBuilder();
        }
        List<Ranking> rankings = new ArrayList<>(legs.size());
        Map<Long, Long> seqNos = new HashMap<>();
        for (LegHits hits : found.legs()) {
            long[] keys = new long[hits.size()];
            for (int i = 0; i < keys.length; i++) {
                keys[i] = (long) hits.shards()[i] << Integer.SIZE | hits.docs()[i];
                seqNos.put(keys[i], hits.seqNos()[i]);
            }
            rankings.add(new Ranking(keys, hits.scores()));
        }
        List<Winner> winners = new ArrayList<>();
        for (FusedHit hit : described.fuse(rankings)) {
            int shard = (int) (hit.key() >>> Integer.SIZE);
            winners.add(new Winner(shard, seqNos.get(hit.key()), (int) hit.key(), hit));
        }
        if (winners.isEmpty() && described.totals() == Totals.WINDOW) {
            return new MatchNoneQueryBuilder();
        }
        return new WinnersQueryBuilder(clause, legs, described, found.shards(), winners);
    }
}
