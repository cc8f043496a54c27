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

/** A hybrid in a search of several shards whose query phase collects the legs' windows; the coordinating node fuses them. */
public final class CandidatesQueryBuilder extends LegsQueryBuilder<CandidatesQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_candidates";

    /** On the coordinating node alone, and null in a search that fetches its hits itself. */
    private final Capture capture;

    /**
     * @param node of the hybrid
     * @param legs rewritten
     * @param described the rest of the hybrid
     * @param capture takes the windows out of a search that is only run for them; null where the search fetches the fused hits
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

    /** @return takes the windows out of a search that is only run for them, or null */
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
