package org.mmsearch.hybrid.fused;

import java.io.IOException;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.LegScore;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * A fused hit as a document of one reader.
 *
 * @param doc the document number in the whole reader
 * @param hit the fused score and the legs' scores
 */
public record RankDoc(int doc, FusedHit hit) implements Writeable {

    static RankDoc read(StreamInput in) throws IOException {
        int doc = in.readVInt();
        float score = in.readFloat();
        LegScore[] legs = new LegScore[in.readVInt()];
        for (int i = 0; i < legs.length; i++) {
            int rank = in.readVInt();
            legs[i] = rank == 0 ? null : new LegScore(rank, in.readFloat(), in.readFloat());
        }
        return new RankDoc(doc, new FusedHit(doc, score, legs));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
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
