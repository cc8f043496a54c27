package org.mmsearch.mmr;

import org.mmsearch.hybrid.fused.InShardQueryBuilder;

/** Maximal marginal relevance of a hybrid that is fused inside its one shard. */
public final class InShardMmr extends ClauseMmr<InShardQueryBuilder> {

    /** Called by the node. */
    public InShardMmr() {
        super(InShardQueryBuilder.NAME);
    }
}
