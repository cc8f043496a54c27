package org.mmsearch.hybrid.fused;

import java.util.List;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.ReaderToken;
import org.opensearch.core.index.shard.ShardId;

/** Matches the fused hits of one shard. */
final class RankDocsQuery extends FusedQuery {

    private final ShardId shard;
    private final ShardRankDocs hits;

    /** @param hits the hits of the shard; null if the legs did not run there */
    RankDocsQuery(List<Query> legs, Legs described, ShardId shard, ShardRankDocs hits) {
        super(legs, described);
        this.shard = shard;
        this.hits = hits;
    }

    @Override
    FusedDocs resolve(IndexSearcher searcher) {
        if (hits == null || hits.docs().isEmpty()) {
            return new FusedDocs(List.of(), List.of());
        }
        long here = ReaderToken.of(searcher.getIndexReader());
        if (here != hits.reader()) {
            throw new IllegalStateException(
                "expected the reader of " + shard + " that the legs of a hybrid searched, got another one: send the search again"
            );
        }
        return new FusedDocs(hits.docs(), hits.ranges());
    }

    @Override
    public String toString(String field) {
        return "hybrid hits of " + shard + " by " + legs();
    }
}
