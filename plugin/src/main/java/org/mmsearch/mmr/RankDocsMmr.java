package org.mmsearch.mmr;

import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;

/** Maximal marginal relevance of a hybrid whose legs have run before its search. */
public final class RankDocsMmr extends ClauseMmr<RankDocsQueryBuilder> {

    /** Called by the node. */
    public RankDocsMmr() {
        super(RankDocsQueryBuilder.NAME);
    }
}
