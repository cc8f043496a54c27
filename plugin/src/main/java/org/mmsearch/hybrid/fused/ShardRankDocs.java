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
 * The fused hits of one shard. They are sent in packed form, because with two rounds each shard receives the hits of all shards and unpacks
 * only its own.
 */
public final class ShardRankDocs implements Writeable {

    private final ShardId shard;
    private final long reader;
    private final List<ScoreRange> ranges;
    /** One of the two is set; the other is created on first use. */
    private List<RankDoc> docs;
    private byte[] packed;

    /**
     * @param shard the shard
     * @param reader the token of the reader that the document numbers belong to
     * @param docs the hits in descending order of score
     * @param ranges the range of each leg's scores on the shard; empty if the fusion does not use them
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

    /** Returns the same for some of the hits. */
    public ShardRankDocs with(List<RankDoc> page) {
        return new ShardRankDocs(shard, reader, page, ranges);
    }

    /** Returns the shard. */
    public ShardId shard() {
        return shard;
    }

    /** Returns the token of the reader that the document numbers belong to. */
    public long reader() {
        return reader;
    }

    /** Returns the range of each leg's scores on the shard; empty if the fusion does not use them. */
    public List<ScoreRange> ranges() {
        return ranges;
    }

    /** Returns the hits in descending order of score. */
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
        return shard + "@" + reader + ranges + docs();
    }

    /**
     * Fuses the windows of several shards.
     *
     * @param found the shards' windows, in the order of {@link ShardWindows#BY_SHARD}
     * @param legs the description of the legs
     * @return the fused hits of each shard, in the order of {@code found}
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
