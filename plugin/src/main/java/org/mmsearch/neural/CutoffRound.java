package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.List;

import org.mmsearch.RunningSearch;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.LegScore;
import org.mmsearch.visibility.VectorQueries;
import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.Scroll;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.client.Client;

/**
 * Finds the score threshold of a relative cutoff. It needs the best hits of all shards, so it runs a light search that returns only scores.
 */
final class CutoffRound {

    /** The number of hits searched for a gap if {@code k} does not limit it. */
    private static final int MOST_HITS = 1000;

    private CutoffRound() {}

    /**
     * Runs the light search.
     *
     * @param request the search with the clause
     * @param search the running search; shares its deadline and receives the shard failures
     * @param parent the task of the search, or null
     * @param knn the query whose hits are cut
     * @param vectors makes the search return k-NN's raw scores
     * @param listener called once with the minimum score of the kept hits; positive infinity if none is kept
     */
    static void leastScore(
        Client client,
        IndicesRequest request,
        RunningSearch search,
        TaskId parent,
        QueryBuilder knn,
        NeuralBody body,
        VectorQueries vectors,
        ActionListener<Float> listener
    ) {
        // A relative cutoff needs only the best hit; a gap can follow any hit.
        int most = Math.min(MOST_HITS, body.k() == null ? MOST_HITS : body.k());
        int size = body.cutoff().gap() == null ? 1 : most;
        SearchRequest round = round(request, search, parent, knn, size);
        vectors.scoreRaw(round.source(), most);
        client.execute(
            SearchAction.INSTANCE,
            round,
            // The clause continues in the thread context of its own search.
            ContextPreservingActionListener.wrapPreservingContext(
                ActionListener.wrap(response -> {
                    search.beside(response);
                    listener.onResponse(least(response, body.cutoff()));
                }, listener::onFailure),
                client.threadPool().getThreadContext()
            )
        );
    }

    private static SearchRequest round(IndicesRequest request, RunningSearch running, TaskId parent, QueryBuilder knn, int size) {
        SearchSourceBuilder source = new SearchSourceBuilder().query(knn)
            .size(size)
            .fetchSource(false)
            .storedField("_none_")
            .trackTotalHits(false)
            .timeout(running.deadline().left());
        SearchRequest round;
        if (request instanceof SearchRequest search) {
            round = new SearchRequest(search).scroll((Scroll) null);
            if (search.source() != null) {
                source.pointInTimeBuilder(search.source().pointInTimeBuilder());
            }
        } else {
            round = new SearchRequest(request.indices()).indicesOptions(request.indicesOptions());
        }
        round.source(source).pipeline("_none");
        if (parent != null) {
            round.setParentTask(parent);
        }
        return round;
    }

    private static float least(SearchResponse response, Cutoff cutoff) {
        List<FusedHit> hits = new ArrayList<>();
        for (SearchHit hit : response.getHits().getHits()) {
            hits.add(new FusedHit(hits.size(), hit.getScore(), new LegScore[0]));
        }
        List<FusedHit> kept = cutoff.cut(hits);
        if (kept.isEmpty()) {
            return Float.POSITIVE_INFINITY;
        }
        float best = hits.get(0).score();
        float relative = cutoff.relativeMax() == null ? 0 : cutoff.relativeMax() * best;
        float absolute = cutoff.minScore() == null ? 0 : cutoff.minScore();
        // With a gap, the hits before it set the threshold; otherwise only the two other limits do.
        float gap = cutoff.gap() != null && kept.size() < hits.size() ? kept.get(kept.size() - 1).score() : 0;
        return Math.max(gap, Math.max(relative, absolute));
    }
}
