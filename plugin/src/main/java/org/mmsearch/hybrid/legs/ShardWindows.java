package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

import org.apache.lucene.search.ScoreDoc;
import org.mmsearch.fusion.Ranking;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.index.shard.ShardId;

/**
 * The windows of a hybrid's legs on one shard.
 *
 * @param shard the shard
 * @param windows the windows
 */
public record ShardWindows(ShardId shard, LegWindows windows) implements Writeable {

    /** A total order of shards, the same on all nodes. */
    public static final Comparator<ShardWindows> BY_SHARD = Comparator.comparing((ShardWindows found) -> found.shard.getIndexName())
        .thenComparingInt(found -> found.shard.id())
        .thenComparing(found -> found.shard.getIndex().getUUID());

    /** Reads what {@link #writeTo} wrote. */
    public static ShardWindows read(StreamInput in) throws IOException {
        return new ShardWindows(new ShardId(in), LegWindows.read(in));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        shard.writeTo(out);
        windows.writeTo(out);
    }

    /**
     * Merges the windows of all shards leg by leg.
     *
     * @param shards the windows of the shards; keys use the positions in this list
     * @param legs the number of legs
     * @param window the maximum number of hits per leg
     * @return each leg's ranking, with the range of each hit's score on its shard if all are known; a hit's key combines the position of
     *     its shard, see {@link #shard(long)}, with its document number
     */
    public static List<Ranking> merge(List<ShardWindows> shards, int legs, int window) {
        List<Ranking> rankings = new ArrayList<>(legs);
        for (int leg = 0; leg < legs; leg++) {
            ScoreDoc[][] hits = new ScoreDoc[shards.size()][];
            ScoreRange[] ranges = new ScoreRange[shards.size()];
            int found = 0;
            for (int shard = 0; shard < hits.length; shard++) {
                hits[shard] = shards.get(shard).windows.legs().get(leg);
                found += hits[shard].length;
                ranges[shard] = shards.get(shard).windows.range(leg);
            }
            rankings.add(merge(hits, ranges, Math.min(window, found)));
        }
        return rankings;
    }

    /** Merges the sorted hits of the shards. Equal scores are ordered by shard. */
    private static Ranking merge(ScoreDoc[][] hits, ScoreRange[] ranges, int size) {
        long[] keys = new long[size];
        float[] scores = new float[size];
        ScoreRange[] each = new ScoreRange[size];
        boolean known = true;
        int[] next = new int[hits.length];
        for (int i = 0; i < size; i++) {
            int best = -1;
            for (int shard = 0; shard < hits.length; shard++) {
                if (next[shard] < hits[shard].length
                    && (best < 0 || hits[shard][next[shard]].score > hits[best][next[best]].score)) {
                    best = shard;
                }
            }
            ScoreDoc hit = hits[best][next[best]++];
            keys[i] = (long) best << Integer.SIZE | hit.doc;
            scores[i] = hit.score;
            each[i] = ranges[best];
            known &= ranges[best].known();
        }
        return new Ranking(keys, scores, known ? each : null);
    }

    /** Returns the position of the shard in a key of {@link #merge}. */
    public static int shard(long key) {
        return (int) (key >>> Integer.SIZE);
    }
}
