package org.mmsearch.shard;

import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.Weight;

/** Matches the top hits over all segments of a shard for a query that returns top hits per segment. */
final class BestOfShard extends Query {

    private final Query query;
    private final int most;
    private final ScoredDocs docs;

    private BestOfShard(Query query, int most, ScoredDocs docs) {
        this.query = query;
        this.most = most;
        this.docs = docs;
    }

    /**
     * Executes the query and returns a query that matches its top hits in this searcher's reader.
     *
     * @param searcher the searcher of the shard
     * @param query the query
     * @param most the maximum number of hits
     */
    static BestOfShard of(IndexSearcher searcher, Query query, int most) throws IOException {
        // The surrounding search checks the same deadline at its first leaf and reports it.
        ScoreDoc[] best = TopHits.of(searcher, TopHits.slices(searcher), query, most, () -> false, () -> {});
        Arrays.sort(best, Comparator.comparingInt(hit -> hit.doc));
        int[] docs = new int[best.length];
        float[] scores = new float[best.length];
        for (int i = 0; i < best.length; i++) {
            docs[i] = best[i].doc;
            scores[i] = best[i].score;
        }
        return new BestOfShard(query, most, new ScoredDocs(docs, scores));
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) {
        return new Weight(this) {
            @Override
            public Explanation explain(LeafReaderContext leaf, int doc) throws IOException {
                int found = docs.find(leaf.docBase + doc);
                if (found < 0) {
                    return Explanation.noMatch("not among the best " + most + " of the shard");
                }
                Explanation segment = searcher.createWeight(query, ScoreMode.COMPLETE, 1).explain(leaf, doc);
                String why = "among the best " + most + " of the shard, times boost " + boost;
                return Explanation.match(docs.score(found) * boost, why, segment);
            }

            @Override
            public ScorerSupplier scorerSupplier(LeafReaderContext leaf) {
                return docs.in(leaf, boost);
            }

            @Override
            public int count(LeafReaderContext leaf) {
                return docs.count(leaf);
            }

            @Override
            public boolean isCacheable(LeafReaderContext leaf) {
                // The matches depend on the whole reader, not on the leaf.
                return false;
            }
        };
    }

    @Override
    public void visit(QueryVisitor visitor) {
        query.visit(visitor);
    }

    @Override
    public String toString(String field) {
        return "best " + most + " of the shard by " + query.toString(field);
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
