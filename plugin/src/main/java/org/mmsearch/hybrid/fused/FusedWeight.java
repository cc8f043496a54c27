package org.mmsearch.hybrid.fused;

import java.util.function.BiFunction;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.Weight;
import org.mmsearch.fusion.FusedHit;

/** Matches fused documents and scores them by what fusion gave them. */
final class FusedWeight extends Weight {

    private final FusedDocs docs;
    private final float boost;
    private final BiFunction<FusedHit, Float, Explanation> explainer;

    FusedWeight(Query query, FusedDocs docs, float boost, BiFunction<FusedHit, Float, Explanation> explainer) {
        super(query);
        this.docs = docs;
        this.boost = boost;
        this.explainer = explainer;
    }

    @Override
    public Explanation explain(LeafReaderContext leaf, int doc) {
        FusedHit hit = docs.hit(leaf.docBase + doc);
        return hit == null ? Explanation.noMatch("not among the fused hits") : explainer.apply(hit, boost);
    }

    @Override
    public ScorerSupplier scorerSupplier(LeafReaderContext leaf) {
        int from = docs.position(leaf.docBase);
        int to = docs.position(leaf.docBase + leaf.reader().maxDoc());
        if (from == to) {
            return null;
        }
        return new ScorerSupplier() {
            @Override
            public Scorer get(long leadCost) {
                return new FusedScorer(leaf.docBase, from, to);
            }

            @Override
            public long cost() {
                return to - from;
            }
        };
    }

    @Override
    public int count(LeafReaderContext leaf) {
        if (leaf.reader().hasDeletions()) {
            return -1;
        }
        return docs.position(leaf.docBase + leaf.reader().maxDoc()) - docs.position(leaf.docBase);
    }

    @Override
    public boolean isCacheable(LeafReaderContext leaf) {
        // What matches depends on the whole reader, not on the leaf.
        return false;
    }

    private final class FusedScorer extends Scorer {
        private final int base;
        private final int from;
        private final int to;
        private int position;

        FusedScorer(int base, int from, int to) {
            this.base = base;
            this.from = from;
            this.to = to;
            position = from - 1;
        }

        @Override
        public DocIdSetIterator iterator() {
            return new DocIdSetIterator() {
                @Override
                public int docID() {
                    return FusedScorer.this.docID();
                }

                @Override
                public int nextDoc() {
                    position++;
                    return FusedScorer.this.docID();
                }

                @Override
                public int advance(int target) {
                    position = target == NO_MORE_DOCS ? to : Math.clamp(docs.position(base + target), position + 1, to);
                    return FusedScorer.this.docID();
                }

                @Override
                public long cost() {
                    return to - from;
                }
            };
        }

        @Override
        public int docID() {
            if (position < from) {
                return -1;
            }
            return position >= to ? DocIdSetIterator.NO_MORE_DOCS : docs.doc(position) - base;
        }

        @Override
        public float score() {
            return docs.score(position) * boost;
        }

        @Override
        public float getMaxScore(int upTo) {
            return docs.maxScore() * boost;
        }
    }
}
