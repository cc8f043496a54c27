package org.mmsearch.mmr;

import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;

/** Supports hybrids whose legs ran in an earlier search ({@code two_rounds}) in k-NN's maximal marginal relevance. */
public final class RankDocsMmr extends ClauseMmr<RankDocsQueryBuilder> {

    /** Called by k-NN. */
    public RankDocsMmr() {
        super(RankDocsQueryBuilder.NAME);
    }
}
