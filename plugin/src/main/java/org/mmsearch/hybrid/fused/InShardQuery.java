package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Ranking;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.hybrid.legs.LegSearches;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.RangedLegs;
import org.mmsearch.memory.HybridMemory;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.shard.SearchContexts;
import org.mmsearch.visibility.OuterFilter;
import org.opensearch.search.internal.SearchContext;

/** Runs and fuses the legs inside one shard. The result is exact, because the request searches only this shard. */
final class InShardQuery extends FusedQuery {

    private final LegSearches searches;
    private final HybridStats stats;
    private final MemoryBreaker memory;

    InShardQuery(List<Query> legs, Legs described, HybridNode node) {
        super(legs, described);
        searches = node.searches();
        stats = node.stats();
        memory = node.memory();
    }

    @Override
    FusedDocs resolve(IndexSearcher searcher) throws IOException {
        long start = System.nanoTime();
        List<Ranking> rankings = new ArrayList<>(legs().size());
        Query outer = OuterFilter.of(searcher);
        List<Query> visible = legs().stream().map(leg -> OuterFilter.on(leg, outer)).toList();
        // The surrounding search checks the same deadline at its first leaf and reports it.
        RangedLegs ranged = RangedLegs.of(searcher, visible, described().fusion().needsRanges());
        for (ScoreDoc[] top : searches.top(searcher, ranged.queries(), described().fusion().window(), () -> false, () -> {})) {
            rankings.add(ranking(top, ranged.ranges().isEmpty() ? ScoreRange.NONE : ranged.ranges().get(rankings.size())));
        }
        reserve(searcher);
        long fusing = System.nanoTime();
        List<RankDoc> docs = new ArrayList<>();
        for (FusedHit hit : described().fuse(rankings)) {
            docs.add(new RankDoc(Math.toIntExact(hit.key()), hit));
        }
        FusedDocs fused = new FusedDocs(docs, ranged.ranges());
        stats.inShard(fusing - start, System.nanoTime() - fusing);
        return fused;
    }

    /** Reserves heap for the fused hits until the search's fetch phase ends. */
    private void reserve(IndexSearcher searcher) throws IOException {
        SearchContext search = SearchContexts.of(searcher);
        if (search != null) {
            int hits = Math.min(described().fusion().window(), searcher.getIndexReader().maxDoc());
            search.addReleasable(memory.reserve(HybridMemory.fused(legs().size(), hits), "the fused hits of a hybrid"));
        }
    }

    private static Ranking ranking(ScoreDoc[] hits, ScoreRange range) {
        long[] keys = new long[hits.length];
        float[] scores = new float[hits.length];
        for (int i = 0; i < hits.length; i++) {
            keys[i] = hits[i].doc;
            scores[i] = hits[i].score;
        }
        return new Ranking(keys, scores, range);
    }

    @Override
    public String toString(String field) {
        return "hybrid in shard of " + legs();
    }
}
