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

/** A hybrid whose legs have run on several shards: each shard reads its hits out of the reader that the legs searched. */
public final class RankDocsQueryBuilder extends FusedQueryBuilder<RankDocsQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_rank_docs";

    private final List<ShardRankDocs> shards;
    private final String pointInTime;

    /**
     * @param node of the hybrid
     * @param legs for highlighting, explaining, inner hits and named queries; may be left out where none is asked for
     * @param described the rest of the hybrid
     * @param shards the hits of the shards that this goes to
     * @param pointInTime that holds the readers, for searches that the engine makes of this one (those of {@code collapse} with inner
     *     hits); null where it makes none
     */
    public RankDocsQueryBuilder(
        HybridNode node,
        List<QueryBuilder> legs,
        Legs described,
        List<ShardRankDocs> shards,
        String pointInTime
    ) {
        super(node, legs, described);
        this.shards = shards;
        this.pointInTime = pointInTime;
    }

    /** Reads it from the wire. */
    public RankDocsQueryBuilder(StreamInput in, HybridNode node) throws IOException {
        super(in, node);
        boolean ranges = described().fusion().needsRanges();
        shards = in.readList(shard -> ShardRankDocs.read(shard, ranges));
        pointInTime = in.readOptionalString();
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        super.doWriteTo(out);
        out.writeList(shards);
        out.writeOptionalString(pointInTime);
    }

    /** @return the point in time that holds the readers, or null */
    public String pointInTime() {
        return pointInTime;
    }

    @Override
    FusedQuery fused(QueryShardContext context, List<Query> queries) {
        ShardId here = new ShardId(context.index(), context.getShardId());
        for (ShardRankDocs shard : shards) {
            if (shard.shard().equals(here)) {
                return new RankDocsQuery(queries, described(), here, shard);
            }
        }
        return new RankDocsQuery(queries, described(), here, null);
    }

    @Override
    protected RankDocsQueryBuilder with(List<QueryBuilder> rewritten) {
        return new RankDocsQueryBuilder(node(), rewritten, described(), shards, pointInTime);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    protected boolean doEquals(RankDocsQueryBuilder other) {
        // A hit holds an array, which has no equality of its own: its text has.
        return super.doEquals(other) && shards.toString().equals(other.shards.toString()) && Objects.equals(pointInTime, other.pointInTime);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(super.doHashCode(), shards.size(), pointInTime);
    }
}
