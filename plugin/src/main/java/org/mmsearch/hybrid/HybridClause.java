package org.mmsearch.hybrid;

import org.opensearch.core.common.ParsingException;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.QueryBuilder;

/** What the hybrid clause's builders need of the node they are on. */
public final class HybridClause {

    private final String name;
    private final HybridStats stats = new HybridStats();
    private final LegSearches searches = new LegSearches();
    private final FusedQueries running = new FusedQueries();
    private volatile Coordinator coordinator;

    /** @param name the clause's name on this node */
    public HybridClause(String name) {
        this.name = name;
    }

    /** @return the clause's name on this node */
    public String name() {
        return name;
    }

    /** @return what this node's hybrids have done */
    public HybridStats stats() {
        return stats;
    }

    LegSearches searches() {
        return searches;
    }

    FusedQueries running() {
        return running;
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

    /** Refuses a form that only the wire knows. */
    static QueryBuilder internal(XContentParser parser, String form) {
        throw new ParsingException(parser.getTokenLocation(), "[" + form + "] is internal: use the hybrid query");
    }
}
