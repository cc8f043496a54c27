package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.List;

import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.Ranking;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * The description of a hybrid's legs, without their queries.
 *
 * @param names each leg's {@code _name} or, without one, its position
 * @param named positions of the legs with a {@code _name}
 * @param fusion how the legs are fused
 * @param cutoff where the fused list ends
 * @param totals which documents total hits and aggregations count
 * @param evidence whether hits list the legs that found them
 */
public record Legs(List<String> names, List<Integer> named, Fusion fusion, Cutoff cutoff, Totals totals, boolean evidence)
    implements
        Writeable {

    public Legs(StreamInput in) throws IOException {
        this(
            in.readStringList(),
            in.readList(StreamInput::readVInt),
            Fusion.read(in),
            new Cutoff(in),
            in.readEnum(Totals.class),
            in.readBoolean()
        );
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeStringCollection(names);
        out.writeCollection(named, StreamOutput::writeVInt);
        fusion.writeTo(out);
        cutoff.writeTo(out);
        out.writeEnum(totals);
        out.writeBoolean(evidence);
    }

    /** Fuses the legs' rankings and applies the cutoff. */
    public List<FusedHit> fuse(List<Ranking> rankings) {
        return cutoff.cut(fusion.fuse(rankings));
    }
}
