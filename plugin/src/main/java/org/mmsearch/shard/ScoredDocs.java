package org.mmsearch.shard;

import java.util.Arrays;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.ScorerSupplier;

/** Scored documents of one reader, for weights that match them. */
public final class ScoredDocs {

    private final int[] docs;
    private final float[] scores;
    private final float best;

    /**
     * @param docs document numbers in the whole reader, ascending
     * @param scores one score per document, not negative
     */
    public ScoredDocs(int[] docs, float[] scores) {
        this.docs = docs;
        this.scores = scores;
        float max = 0;
        for (float score : scores) {
            max = Math.max(max, score);
        }
        best = max;
    }

    /** Returns the number of documents. */
    public int size() {
        return docs.length;
    }

    /** Returns the document at a position. */
    public int doc(int position) {
        return docs[position];
    }

    /** Returns the score of the document at a position. */
    public float score(int position) {
        return scores[position];
    }

    /** Returns the position of a document, or a negative number if it is not in the list. */
    public int find(int doc) {
        return Arrays.binarySearch(docs, doc);
    }

    /** Returns the first position at or after a document. */
    private int position(int doc) {
        int found = find(doc);
        return found < 0 ? -found - 1 : found;
    }

    private int end(LeafReaderContext leaf) {
        return position(leaf.docBase + leaf.reader().maxDoc());
    }

    /** Returns the number of documents in a segment, or -1 if the segment has deletions. */
    public int count(LeafReaderContext leaf) {
        return leaf.reader().hasDeletions() ? -1 : end(leaf) - position(leaf.docBase);
    }

    /**
     * Returns a scorer supplier for the documents in a segment, or null if there are none.
     *
     * @param boost the factor of the scores
     */
    public ScorerSupplier in(LeafReaderContext leaf, float boost) {
        int from = position(leaf.docBase);
        int to = end(leaf);
        if (from == to) {
            return null;
        }
        return new ScorerSupplier() {
            @Override
            public Scorer get(long leadCost) {
                return new DocsScorer(leaf.docBase, from, to, boost);
            }

            @Override
            public long cost() {
                return to - from;
            }
        };
    }

    private final class DocsScorer extends Scorer {
        private final int base;
        private final int from;
        private final int to;
        private final float boost;
        private int position;

        DocsScorer(int base, int from, int to, float boost) {
            this.base = base;
            this.from = from;
            this.to = to;
            this.boost = boost;
            position = from - 1;
        }

        @Override
        public DocIdSetIterator iterator() {
            return new DocIdSetIterator() {
                @Override
                public int docID() {
                    return DocsScorer.this.docID();
                }

                @Override
                public int nextDoc() {
                    position++;
                    return DocsScorer.this.docID();
                }

                @Override
                public int advance(int target) {
                    position = target == NO_MORE_DOCS ? to : Math.clamp(ScoredDocs.this.position(base + target), position + 1, to);
                    return DocsScorer.this.docID();
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
            return position >= to ? DocIdSetIterator.NO_MORE_DOCS : docs[position] - base;
        }

        @Override
        public float score() {
            return scores[position] * boost;
        }

        @Override
        public float getMaxScore(int upTo) {
            return best * boost;
        }
    }
}
