package org.mmsearch.mmr;

import org.mmsearch.hybrid.fused.InShardQueryBuilder;

/** Supports hybrids that one shard fuses ({@code in_shard}) in k-NN's maximal marginal relevance. */
public final class InShardMmr extends ClauseMmr<InShardQueryBuilder> {

    /** Called by k-NN. */
    public InShardMmr() {
        super(InShardQueryBuilder.NAME);
    }
}
