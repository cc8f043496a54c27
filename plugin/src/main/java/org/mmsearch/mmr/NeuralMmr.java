package org.mmsearch.mmr;

import org.mmsearch.MmsearchPlugin;
import org.mmsearch.neural.NeuralQueryBuilder;

/** Maximal marginal relevance of a {@code neural} clause. */
public final class NeuralMmr extends ClauseMmr<NeuralQueryBuilder> {

    /** @param plugin knows the clause's name on this node */
    public NeuralMmr(MmsearchPlugin plugin) {
        super(plugin.names().neural());
    }
}
