package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Ranking;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.legs.LegWindows;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.ShardWindows;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.index.shard.ShardId;

/**
 * The fused hits that are on one of several shards. They travel packed: a search by two rounds sends those of all shards to each of them,
 * and a shard unpacks its own alone.
 */
public final class ShardRankDocs implements Writeable {

    private final ShardId shard;
    private final long reader;
    private final List<ScoreRange> ranges;
    /** One of both, until the other one is asked for. */
    private List<RankDoc> docs;
    private byte[] packed;

    /**
     * @param shard where
     * @param reader the token of the reader whose documents they are
     * @param docs in descending order of their scores
     * @param ranges of each leg's scores on the shard; empty if the fusion does not use them
     */
    public ShardRankDocs(ShardId shard, long reader, List<RankDoc> docs, List<ScoreRange> ranges) {
        this.shard = shard;
        this.reader = reader;
        this.ranges = ranges;
        this.docs = docs;
    }

    private ShardRankDocs(StreamInput in, boolean ranged) throws IOException {
        shard = new ShardId(in);
        reader = in.readLong();
        ranges = ranged ? in.readList(ScoreRange::new) : List.of();
        packed = in.readByteArray();
    }

    /** @param ranged whether the fusion uses ranges */
    static ShardRankDocs read(StreamInput in, boolean ranged) throws IOException {
        return new ShardRankDocs(in, ranged);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        shard.writeTo(out);
        out.writeLong(reader);
        if (ranges.isEmpty() == false) {
            out.writeList(ranges);
        }
        out.writeByteArray(pack());
    }

    private synchronized byte[] pack() throws IOException {
        if (packed == null) {
            try (BytesStreamOutput out = new BytesStreamOutput()) {
                out.writeList(docs);
                packed = BytesReference.toBytes(out.bytes());
            }
        }
        return packed;
    }

    /** @return these with some of their hits */
    public ShardRankDocs with(List<RankDoc> page) {
        return new ShardRankDocs(shard, reader, page, ranges);
    }

    /** @return where */
    public ShardId shard() {
        return shard;
    }

    /** @return the token of the reader whose documents they are */
    public long reader() {
        return reader;
    }

    /** @return the ranges of each leg's scores on the shard; empty if the fusion does not use them */
    public List<ScoreRange> ranges() {
        return ranges;
    }

    /** @return the hits in descending order of their scores */
    public synchronized List<RankDoc> docs() {
        if (docs == null) {
            try (StreamInput in = StreamInput.wrap(packed)) {
                docs = in.readList(RankDoc::read);
            } catch (IOException e) {
                throw new UncheckedIOException("expected the fused hits of " + shard + ", got bytes that hold none", e);
            }
        }
        return docs;
    }

    @Override
    public String toString() {
        return shard + "@" + reader + docs();
    }

    /**
     * Fuses what the legs found on several shards.
     *
     * @param found the shards' windows, in the order of {@link ShardWindows#BY_SHARD}
     * @param legs how they are fused
     * @return the fused hits, for each shard in the given order
     */
    public static List<ShardRankDocs> fuse(List<ShardWindows> found, Legs legs) {
        List<List<RankDoc>> docs = new ArrayList<>(found.size());
        found.forEach(shard -> docs.add(new ArrayList<>()));
        List<Ranking> rankings = ShardWindows.merge(found, legs.names().size(), legs.fusion().window());
        for (FusedHit hit : legs.fuse(rankings)) {
            docs.get(ShardWindows.shard(hit.key())).add(new RankDoc((int) hit.key(), hit));
        }
        List<ShardRankDocs> shards = new ArrayList<>(found.size());
        for (int i = 0; i < found.size(); i++) {
            LegWindows windows = found.get(i).windows();
            shards.add(new ShardRankDocs(found.get(i).shard(), windows.reader(), docs.get(i), used(rankings, windows, legs)));
        }
        return shards;
    }

    /** The ranges of a shard, of those legs whose hits have one on every shard; none if the fusion does not use them. */
    private static List<ScoreRange> used(List<Ranking> rankings, LegWindows windows, Legs legs) {
        List<ScoreRange> used = new ArrayList<>(rankings.size());
        for (int leg = 0; legs.fusion().needsRanges() && leg < rankings.size(); leg++) {
            used.add(rankings.get(leg).ranges() == null ? ScoreRange.NONE : windows.range(leg));
        }
        return used;
    }
}
