package org.mmsearch.hybrid;

import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.memory.MemoryBreaker;

/** What the hybrid clause's builders need of the node they are on. */
public final class HybridClause {

    private final HybridNode node;
    private volatile Coordinator coordinator;

    /**
     * @param name the clause's name on this node
     * @param memory what the lists of hybrids take their heap from
     */
    public HybridClause(String name, MemoryBreaker memory) {
        node = new HybridNode(name, memory);
    }

    /** @return the clause's name on this node */
    public String name() {
        return node.clause();
    }

    /** @return what this node's hybrids have done */
    public HybridStats stats() {
        return node.stats();
    }

    /** What the forms that the shards run need of the node. */
    HybridNode node() {
        return node;
    }

    /** The node's coordinating side, once the node has one. */
    Coordinator coordinator() {
        Coordinator ready = coordinator;
        if (ready == null) {
            throw new IllegalStateException("the node is still starting");
        }
        return ready;
    }

    void coordinator(Coordinator ready) {
        coordinator = ready;
    }
}
