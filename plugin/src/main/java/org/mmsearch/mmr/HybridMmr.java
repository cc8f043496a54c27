package org.mmsearch.mmr;

import org.mmsearch.MmsearchPlugin;
import org.mmsearch.hybrid.HybridQueryBuilder;

/** Maximal marginal relevance of a {@code hybrid} clause. */
public final class HybridMmr extends ClauseMmr<HybridQueryBuilder> {

    /** @param plugin knows the clause's name on this node */
    public HybridMmr(MmsearchPlugin plugin) {
        super(plugin.names().hybrid());
    }
}
