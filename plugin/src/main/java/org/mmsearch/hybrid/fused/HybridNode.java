package org.mmsearch.hybrid.fused;

import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.hybrid.legs.LegSearches;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;

/** What hybrids need of the node that they run on. */
public final class HybridNode {

    private final String clause;
    private final HybridStats stats = new HybridStats();
    private final MemoryBreaker memory;
    private final LegSearches searches;
    private final FusedQueries running = new FusedQueries();

    /**
     * @param clause the clause's name on this node
     * @param memory what the lists of hybrids take their heap from
     */
    public HybridNode(String clause, MemoryBreaker memory) {
        this.clause = clause;
        this.memory = memory;
        this.searches = new LegSearches(memory);
    }

    /** @return the clause's name on this node */
    public String clause() {
        return clause;
    }

    /** @return what the lists of hybrids take their heap from */
    public MemoryBreaker memory() {
        return memory;
    }

    /** @return what this node's hybrids have done */
    public HybridStats stats() {
        return stats;
    }

    /** @return what runs legs on this node's shards */
    public LegSearches searches() {
        return searches;
    }

    /** @return the fused queries of the searches that run here */
    public FusedQueries running() {
        return running;
    }

    /** Refuses a form that only the wire knows. */
    public static QueryBuilder internal(XContentParser parser, String form) {
        throw new ParsingException(parser.getTokenLocation(), "[" + form + "] is internal: use the hybrid query");
    }
}
