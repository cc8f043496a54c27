package org.mmsearch.hybrid.legs;

import java.io.IOException;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * The hits of one leg in descending order of score. A hit is identified by shard and sequence number, which stay valid after the round.
 *
 * @param shards position of each hit's shard in the accompanying list of shards
 * @param seqNos sequence number of each hit
 * @param docs document number of each hit in the reader that found it, a hint for the next round
 * @param scores raw score of each hit
 */
record LegHits(int[] shards, long[] seqNos, int[] docs, float[] scores) implements Writeable {

    LegHits(StreamInput in) throws IOException {
        this(in.readVIntArray(), in.readVLongArray(), in.readVIntArray(), in.readFloatArray());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeVIntArray(shards);
        out.writeVLongArray(seqNos);
        out.writeVIntArray(docs);
        out.writeFloatArray(scores);
    }

    int size() {
        return scores.length;
    }
}
