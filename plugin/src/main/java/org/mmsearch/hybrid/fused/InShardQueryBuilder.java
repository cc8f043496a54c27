package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.List;
import java.util.Objects;

import org.apache.lucene.search.Query;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** A hybrid whose request goes to one shard. The shard runs and fuses the legs. */
public final class InShardQueryBuilder extends FusedQueryBuilder<InShardQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_in_shard";

    /** The only shard of the request; null if any shard may execute the query. */
    private final ShardId only;

    /** @param only the only shard of the request; null if any shard may execute the query */
    public InShardQueryBuilder(HybridNode node, List<QueryBuilder> legs, Legs described, ShardId only) {
        super(node, legs, described);
        this.only = only;
    }

    /** Reads it from the wire. */
    public InShardQueryBuilder(StreamInput in, HybridNode node) throws IOException {
        super(in, node);
        only = in.readOptionalWriteable(ShardId::new);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        super.doWriteTo(out);
        out.writeOptionalWriteable(only);
    }

    @Override
    FusedQuery fused(QueryShardContext context, List<Query> queries) {
        if (only != null && (only.getIndex().equals(context.index()) && only.id() == context.getShardId()) == false) {
            throw new IllegalStateException(
                "expected the request to go to " + only + " alone, got " + context.index() + "[" + context.getShardId()
                    + "] too: an alias was moved during the request, send it again"
            );
        }
        return new InShardQuery(queries, described(), node());
    }

    @Override
    protected InShardQueryBuilder with(List<QueryBuilder> rewritten) {
        return new InShardQueryBuilder(node(), rewritten, described(), only);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    protected boolean doEquals(InShardQueryBuilder other) {
        return super.doEquals(other) && Objects.equals(only, other.only);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(super.doHashCode(), only);
    }
}
