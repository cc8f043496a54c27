package org.mmsearch.hybrid;

import java.io.IOException;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.LegScore;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * A fused hit on its way back to its shard.
 *
 * @param shard position of its shard in the list of shards beside it
 * @param seqNo its sequence number there
 * @param doc where the first round saw it, a hint
 * @param hit its score and legs
 */
record Winner(int shard, long seqNo, int doc, FusedHit hit) implements Writeable {

    static Winner read(StreamInput in) throws IOException {
        int shard = in.readVInt();
        long seqNo = in.readVLong();
        int doc = in.readVInt();
        float score = in.readFloat();
        LegScore[] legs = new LegScore[in.readVInt()];
        for (int i = 0; i < legs.length; i++) {
            int rank = in.readVInt();
            legs[i] = rank == 0 ? null : new LegScore(rank, in.readFloat(), in.readFloat());
        }
        return new Winner(shard, seqNo, doc, new FusedHit(doc, score, legs));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeVInt(shard);
        out.writeVLong(seqNo);
        out.writeVInt(doc);
        out.writeFloat(hit.score());
        out.writeVInt(hit.legs().length);
        for (LegScore leg : hit.legs()) {
            if (leg == null) {
                out.writeVInt(0);
            } else {
                out.writeVInt(leg.rank());
                out.writeFloat(leg.raw());
                out.writeFloat(leg.normalized());
            }
        }
    }
}
