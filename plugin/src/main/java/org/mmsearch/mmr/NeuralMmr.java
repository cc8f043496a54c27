package org.mmsearch.mmr;

import org.mmsearch.MmsearchPlugin;
import org.mmsearch.neural.NeuralQueryBuilder;

/** Supports {@code neural} clauses in k-NN's maximal marginal relevance. */
public final class NeuralMmr extends ClauseMmr<NeuralQueryBuilder> {

    /** @param plugin supplies the clause's name on this node */
    public NeuralMmr(MmsearchPlugin plugin) {
        super(plugin.names().neural());
    }
}
