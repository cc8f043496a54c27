package org.mmsearch.hybrid.candidates;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.search.Query;
import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.fused.LegsQueryBuilder;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** A hybrid in a search of several shards. The query phase collects the windows of the legs, and the coordinating node fuses them. */
public final class CandidatesQueryBuilder extends LegsQueryBuilder<CandidatesQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_candidates";

    /** Set on the coordinating node only; null if the search fetches the fused hits. */
    private final Capture capture;

    /**
     * @param node the services of the node
     * @param legs the rewritten legs
     * @param described the description of the legs
     * @param capture receives the windows if the search runs only to collect them; null if the search fetches the fused hits
     */
    public CandidatesQueryBuilder(HybridNode node, List<QueryBuilder> legs, Legs described, Capture capture) {
        super(node, legs, described);
        this.capture = capture;
    }

    /** Reads it from the wire. */
    public CandidatesQueryBuilder(StreamInput in, HybridNode node) throws IOException {
        super(in, node);
        capture = null;
    }

    /** Returns the receiver of the windows; null if the search fetches the fused hits. */
    public Capture capture() {
        return capture;
    }

    @Override
    protected Query doToQuery(QueryShardContext context) throws IOException {
        return new CandidatesQuery(node().searches(), queries(context), described());
    }

    @Override
    protected CandidatesQueryBuilder with(List<QueryBuilder> rewritten) {
        return new CandidatesQueryBuilder(node(), rewritten, described(), capture);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
