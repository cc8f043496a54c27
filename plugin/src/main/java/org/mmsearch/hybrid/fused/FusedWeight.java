package org.mmsearch.hybrid.fused;

import java.util.function.BiFunction;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.Weight;
import org.mmsearch.fusion.FusedHit;

/** Matches fused documents with their fused scores. */
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
        return docs.docs().in(leaf, boost);
    }

    @Override
    public int count(LeafReaderContext leaf) {
        return docs.docs().count(leaf);
    }

    @Override
    public boolean isCacheable(LeafReaderContext leaf) {
        // The matches depend on the whole reader, not on the leaf.
        return false;
    }
}
