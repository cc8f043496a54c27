package org.mmsearch.hybrid;

import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.memory.MemoryBreaker;

/** The node's services for the builders of the hybrid clause. */
public final class HybridClause {

    private final HybridNode node;
    private volatile Coordinator coordinator;

    /**
     * @param name the clause's name on this node
     * @param memory the circuit breaker for the heap of hit lists
     */
    public HybridClause(String name, MemoryBreaker memory) {
        node = new HybridNode(name, memory);
    }

    /** Returns the clause's name on this node. */
    public String name() {
        return node.clause();
    }

    /** Returns the statistics of hybrids on this node. */
    public HybridStats stats() {
        return node.stats();
    }

    /** Returns the services for the queries that shards execute. */
    HybridNode node() {
        return node;
    }

    /**
     * Returns the coordinator.
     *
     * @throws IllegalStateException while the node is starting
     */
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
