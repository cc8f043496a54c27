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
 * What the legs of a hybrid found on one of several shards.
 *
 * @param shard where
 * @param windows what
 */
public record ShardWindows(ShardId shard, LegWindows windows) implements Writeable {

    /** An order of shards that every node agrees on. */
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
     * Merges the shards' windows leg by leg.
     *
     * @param shards in one order, which the keys count by
     * @param legs how many legs
     * @param window how many hits of each leg are kept
     * @return each leg's ranking, with the ranges that its hits have on their shards if they all have one; a hit's key is its shard's position and its document, see {@link #shard(long)}
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

    /** Merges hits that are in order on each shard; of equal ones those of the first shard come first. */
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

    /** @return the position of the shard that a hit of {@link #merge} is on */
    public static int shard(long key) {
        return (int) (key >>> Integer.SIZE);
    }
}
