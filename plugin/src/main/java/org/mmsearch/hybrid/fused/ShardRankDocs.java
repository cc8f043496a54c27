package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.ShardWindows;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.index.shard.ShardId;

/**
 * The fused hits that are on one of several shards.
 *
 * @param shard where
 * @param reader the token of the reader whose documents they are
 * @param docs in descending order of their scores
 */
public record ShardRankDocs(ShardId shard, long reader, List<RankDoc> docs) implements Writeable {

    static ShardRankDocs read(StreamInput in) throws IOException {
        return new ShardRankDocs(new ShardId(in), in.readLong(), in.readList(RankDoc::read));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        shard.writeTo(out);
        out.writeLong(reader);
        out.writeList(docs);
    }

    /**
     * Fuses what the legs found on several shards.
     *
     * @param found the shards' windows, in the order of {@link ShardWindows#BY_SHARD}
     * @param legs how they are fused
     * @return the fused hits, for each shard in the given order
     */
    public static List<ShardRankDocs> fuse(List<ShardWindows> found, Legs legs) {
        List<ShardRankDocs> shards = new ArrayList<>(found.size());
        found.forEach(shard -> shards.add(new ShardRankDocs(shard.shard(), shard.windows().reader(), new ArrayList<>())));
        for (FusedHit hit : legs.fuse(ShardWindows.merge(found, legs.names().size(), legs.fusion().window()))) {
            shards.get(ShardWindows.shard(hit.key())).docs().add(new RankDoc((int) hit.key(), hit));
        }
        return shards;
    }
}
