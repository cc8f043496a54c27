package org.mmsearch.mmr;

import org.mmsearch.MmsearchPlugin;
import org.mmsearch.hybrid.HybridQueryBuilder;

/** Supports {@code hybrid} clauses in k-NN's maximal marginal relevance. */
public final class HybridMmr extends ClauseMmr<HybridQueryBuilder> {

    /** @param plugin supplies the clause's name on this node */
    public HybridMmr(MmsearchPlugin plugin) {
        super(plugin.names().hybrid());
    }
}
