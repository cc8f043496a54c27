package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.List;
import java.util.Objects;

import org.apache.lucene.search.Query;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** A hybrid whose request goes to one shard: the legs run and fuse there. */
final class InShardQueryBuilder extends FusedQueryBuilder<InShardQueryBuilder> {

    static final String NAME = "mmsearch_in_shard";

    /** The shard that was the only one, or null where any shard will do. */
    private final ShardId only;

    InShardQueryBuilder(HybridClause clause, List<QueryBuilder> legs, Legs described, ShardId only) {
        super(clause, legs, described);
        this.only = only;
    }

    InShardQueryBuilder(StreamInput in, HybridClause clause) throws IOException {
        super(in, clause);
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
                    + "] too: an alias was moved meanwhile, send the request again"
            );
        }
        return new InShardQuery(queries, described(), clause());
    }

    @Override
    InShardQueryBuilder with(List<QueryBuilder> rewritten) {
        return new InShardQueryBuilder(clause(), rewritten, described(), only);
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
