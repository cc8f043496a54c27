package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

import org.apache.lucene.search.Query;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** A hybrid whose legs have run on several shards: each shard finds its winners again. */
final class WinnersQueryBuilder extends FusedQueryBuilder<WinnersQueryBuilder> {

    static final String NAME = "mmsearch_winners";

    private final List<ShardId> shards;
    private final List<Winner> winners;

    WinnersQueryBuilder(HybridClause clause, List<QueryBuilder> legs, Legs described, List<ShardId> shards, List<Winner> winners) {
        super(clause, legs, described);
        this.shards = shards;
        this.winners = winners;
    }

    WinnersQueryBuilder(StreamInput in, HybridClause clause) throws IOException {
        super(in, clause);
        shards = in.readList(ShardId::new);
        winners = in.readList(Winner::read);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        super.doWriteTo(out);
        out.writeList(shards);
        out.writeList(winners);
    }

    @Override
    FusedQuery fused(QueryShardContext context, List<Query> queries) {
        int here = shards.indexOf(new ShardId(context.index(), context.getShardId()));
        List<Winner> mine = winners.stream().filter(winner -> winner.shard() == here).toList();
        return new WinnersQuery(queries, described(), mine, clause().stats());
    }

    @Override
    WinnersQueryBuilder with(List<QueryBuilder> rewritten) {
        return new WinnersQueryBuilder(clause(), rewritten, described(), shards, winners);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    protected boolean doEquals(WinnersQueryBuilder other) {
        return super.doEquals(other) && shards.equals(other.shards) && Arrays.equals(identities(), other.identities());
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(super.doHashCode(), shards, Arrays.hashCode(identities()));
    }

    private long[] identities() {
        return winners.stream()
            .flatMapToLong(winner -> java.util.stream.LongStream.of(winner.shard(), winner.seqNo(), Float.floatToIntBits(winner.hit().score())))
            .toArray();
    }
}
