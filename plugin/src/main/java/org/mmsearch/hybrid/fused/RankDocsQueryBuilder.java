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

/** A hybrid whose legs have run on several shards. Each shard matches its fused hits in the reader that the legs searched. */
public final class RankDocsQueryBuilder extends FusedQueryBuilder<RankDocsQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_rank_docs";

    private final List<ShardRankDocs> shards;
    private final String pointInTime;

    /**
     * @param node the services of the node
     * @param legs the legs, for highlighting, explaining, inner hits and named queries; empty if none of these is requested
     * @param described the description of the legs
     * @param shards the fused hits of each shard
     * @param pointInTime the point in time with the readers, for further searches of this query ({@code collapse} with inner hits); null if
     *     there are none
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

    /** Returns the point in time with the readers, or null. */
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
        // A hit contains an array, which has identity equality, so compare the texts.
        return super.doEquals(other) && shards.toString().equals(other.shards.toString()) && Objects.equals(pointInTime, other.pointInTime);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(super.doHashCode(), shards.size(), pointInTime);
    }
}
