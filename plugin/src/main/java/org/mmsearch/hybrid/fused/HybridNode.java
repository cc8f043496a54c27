package org.mmsearch.hybrid.fused;

import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.hybrid.legs.LegSearches;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;

/** The node's services for hybrids. */
public final class HybridNode {

    private final String clause;
    private final HybridStats stats = new HybridStats();
    private final MemoryBreaker memory;
    private final LegSearches searches;
    private final FusedQueries running = new FusedQueries();

    /**
     * @param clause the clause's name on this node
     * @param memory the circuit breaker for the heap of hit lists
     */
    public HybridNode(String clause, MemoryBreaker memory) {
        this.clause = clause;
        this.memory = memory;
        this.searches = new LegSearches(memory);
    }

    /** Returns the clause's name on this node. */
    public String clause() {
        return clause;
    }

    /** Returns the circuit breaker for the heap of hit lists. */
    public MemoryBreaker memory() {
        return memory;
    }

    /** Returns the statistics of hybrids on this node. */
    public HybridStats stats() {
        return stats;
    }

    /** Returns the executor of legs on this node's shards. */
    public LegSearches searches() {
        return searches;
    }

    /** Returns the fused queries of the searches on this node. */
    public FusedQueries running() {
        return running;
    }

    /**
     * Rejects an internal query in a request.
     *
     * @throws ParsingException always
     */
    public static QueryBuilder internal(XContentParser parser, String form) {
        throw new ParsingException(parser.getTokenLocation(), "[" + form + "] is internal: use the hybrid query");
    }
}
