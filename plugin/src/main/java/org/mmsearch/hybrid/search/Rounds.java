package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.fused.InShardQueryBuilder;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.mmsearch.hybrid.fused.ShardRankDocs;
import org.mmsearch.hybrid.legs.InternalLegs;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.LegsAggregationBuilder;
import org.mmsearch.hybrid.legs.ShardWindows;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.Version;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchType;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.core.action.ActionListener;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.client.Client;

/**
 * Runs the legs of a hybrid on several shards in a separate search, the round. It fuses their windows into a query that matches the fused
 * hits. The search itself executes that query in the same readers.
 */
public final class Rounds {

    private static final String LEGS = "legs";

    private final HybridNode node;
    private final SearchNotes notes;
    private final Version oldest;
    private final boolean top;

    /**
     * @param node the services of the node
     * @param notes the notes of the search
     * @param oldest the oldest version of the cluster's nodes
     * @param top whether the hybrid is the top-level query of the request
     */
    public Rounds(HybridNode node, SearchNotes notes, Version oldest, boolean top) {
        this.node = node;
        this.notes = notes;
        this.oldest = oldest;
        this.top = top;
    }

    /**
     * Runs a round.
     *
     * @param client the node's client
     * @param original the request with the hybrid
     * @param legs the rewritten legs
     * @param described the description of the legs
     * @param listener receives the query that replaces the hybrid
     */
    public void run(Client client, SearchRequest original, List<QueryBuilder> legs, Legs described, ActionListener<QueryBuilder> listener) {
        if (notes.way() == Way.POINT_IN_TIME || original.pointInTimeBuilder() != null) {
            // The readers are already open.
            round(client, original, original.pointInTimeBuilder(), legs, described, listener);
            return;
        }
        ReaderContexts readers = notes.readers();
        readers.run(ActionListener.wrap(id -> {
            ActionListener<QueryBuilder> ended = ActionListener.wrap(fused -> {
                readers.ended();
                listener.onResponse(fused);
            }, failure -> {
                listener.onFailure(failure);
                readers.failed(failure);
            });
            try {
                if (readers.only() != null) {
                    // With one shard, OpenSearch fetches before the processor could fuse, and the shard can fuse the windows itself.
                    ended.onResponse(new InShardQueryBuilder(node, legs, described, readers.only()));
                } else {
                    round(client, original, id == null ? null : new PointInTimeBuilder(id), legs, described, ended);
                }
            } catch (RuntimeException e) {
                ended.onFailure(e);
            }
        }, listener::onFailure));
    }

    /** @param pointInTime the point in time of the round; null if the round opens the readers */
    private void round(
        Client client,
        SearchRequest original,
        PointInTimeBuilder pointInTime,
        List<QueryBuilder> legs,
        Legs described,
        ActionListener<QueryBuilder> listener
    ) {
        long start = System.nanoTime();
        AtomicReference<List<ShardWindows>> captured = new AtomicReference<>();
        SearchSourceBuilder source = new SearchSourceBuilder().trackTotalHits(false).pointInTimeBuilder(pointInTime);
        if (notes.way() == Way.POINT_IN_TIME) {
            LegsAggregationBuilder round = new LegsAggregationBuilder(
                LEGS,
                node.searches(),
                legs,
                described.fusion().window(),
                described.fusion().needsRanges()
            );
            if (original.source() != null && original.source().profile()) {
                round.setMetadata(LegsAggregationBuilder.PROFILED);
            }
            source.size(0).query(carrier(original, legs)).aggregation(round);
        } else {
            source.size(1).query(new CandidatesQueryBuilder(node, legs, described, (windows, results, context) -> {
                captured.set(windows);
                if (pointInTime == null) {
                    notes.readers().keep(results, context, oldest);
                }
            }));
        }
        ActionListener<SearchResponse> answered = ActionListener.wrap(response -> {
            long answer = System.nanoTime();
            note(response, pointInTime == null);
            QueryBuilder fused = fused(original, windows(response, captured.get()), legs, described);
            node.stats().byRounds(notes.way() == Way.POINT_IN_TIME, answer - start, System.nanoTime() - answer);
            listener.onResponse(fused);
        }, listener::onFailure);
        client.execute(
            SearchAction.INSTANCE,
            request(original, source),
            ContextPreservingActionListener.wrapPreservingContext(answered, client.threadPool().getThreadContext())
        );
    }

    /** @param first whether the round opened the readers */
    private void note(SearchResponse response, boolean first) {
        notes.profile(response);
        if (first && notes.readers().id() != null) {
            notes.shards().opening(response, notes.readers().size());
        } else {
            notes.shards().within(response);
            notes.readers().without(notes.shards().failed());
            notes.shards().check();
        }
    }

    private SearchRequest request(SearchRequest original, SearchSourceBuilder source) {
        SearchRequest round = new SearchRequest(original);
        SearchSourceBuilder asked = original.source();
        if (asked != null) {
            source.profile(asked.profile());
            DerivedFields.copy(asked, source);
        }
        round.source(source.timeout(notes.deadline().left()));
        round.pipeline("_none");
        round.setBatchedReduceSize(Integer.MAX_VALUE);
        // Document numbers are useless in another search, so do not fill the request cache.
        round.requestCache(false);
        round.setParentTask(notes.task());
        return round;
    }

    /** Returns the query of the round. The aggregation runs the legs; the query only contains their terms for global statistics (DFS). */
    private static QueryBuilder carrier(SearchRequest original, List<QueryBuilder> legs) {
        if (original.searchType() != SearchType.DFS_QUERY_THEN_FETCH) {
            return new MatchAllQueryBuilder();
        }
        BoolQueryBuilder terms = new BoolQueryBuilder();
        legs.forEach(terms::should);
        return new BoolQueryBuilder().must(new MatchAllQueryBuilder()).should(terms);
    }

    private List<ShardWindows> windows(SearchResponse response, List<ShardWindows> captured) {
        if (notes.way() != Way.POINT_IN_TIME) {
            if (captured == null && response.getTotalShards() > response.getSkippedShards()) {
                throw new IllegalStateException(
                    "expected the processor [" + FusionPhase.TYPE + "] in the search, got a response without it: add it to "
                        + "[cluster.search.enabled_system_generated_factories]"
                );
            }
            return captured == null ? List.of() : captured;
        }
        InternalLegs found = response.getAggregations() == null ? null : response.getAggregations().get(LEGS);
        List<ShardWindows> shards = found == null ? new ArrayList<>() : new ArrayList<>(found.shards());
        shards.sort(ShardWindows.BY_SHARD);
        return shards;
    }

    private QueryBuilder fused(SearchRequest original, List<ShardWindows> windows, List<QueryBuilder> legs, Legs described) {
        List<ShardRankDocs> hits = ShardRankDocs.fuse(windows, described);
        // In other places the shards must receive the hybrid, because they reject it where it is not allowed. k-NN's maximal marginal
        // relevance rejects a query that matches nothing.
        if (top && HybridRewrite.isDiversified(original) == false && described.totals() == Totals.WINDOW && hits.stream().allMatch(shard -> shard.docs().isEmpty())) {
            return new MatchNoneQueryBuilder();
        }
        // If a pipeline added the inner hits, there is no point in time, and the token rejects other readers.
        boolean inherited = PointInTime.isExpanded(original) && original.pointInTimeBuilder() != null;
        String expanded = inherited ? original.pointInTimeBuilder().getId() : null;
        return new RankDocsQueryBuilder(node, FetchedLegs.of(legs, described, original.source()), described, hits, expanded);
    }
}
