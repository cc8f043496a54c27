package org.mmsearch.hybrid;

import java.io.IOException;

import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.xcontent.ToXContentFragment;
import org.opensearch.core.xcontent.XContentBuilder;

/**
 * The options of a hybrid.
 *
 * @param fusion how the legs are fused; null for the fusion of the search pipeline or the default
 * @param paginationDepth the window; null for the window of the fusion or the default
 * @param cutoff where the fused list ends
 * @param totals which documents total hits and aggregations count
 * @param onEncoderFailure whether a query whose encoder fails is left out
 * @param evidence whether hits list the legs that found them
 */
record HybridOptions(
    Fusion fusion,
    Integer paginationDepth,
    Cutoff cutoff,
    Totals totals,
    OnEncoderFailure onEncoderFailure,
    boolean evidence
) implements Writeable, ToXContentFragment {

    static final HybridOptions DEFAULT = new HybridOptions(null, null, Cutoff.NONE, Totals.WINDOW, OnEncoderFailure.FAIL, true);

    HybridOptions(StreamInput in) throws IOException {
        this(
            in.readOptionalWriteable(Fusion::read),
            in.readOptionalVInt(),
            new Cutoff(in),
            in.readEnum(Totals.class),
            in.readEnum(OnEncoderFailure.class),
            in.readBoolean()
        );
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeOptionalWriteable(fusion);
        out.writeOptionalVInt(paginationDepth);
        cutoff.writeTo(out);
        out.writeEnum(totals);
        out.writeEnum(onEncoderFailure);
        out.writeBoolean(evidence);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        if (fusion != null) {
            builder.field("fusion", fusion.asMap());
        }
        if (paginationDepth != null) {
            builder.field("pagination_depth", paginationDepth);
        }
        if (cutoff.isNone() == false) {
            builder.field("cutoff", cutoff.asMap());
        }
        if (totals != Totals.WINDOW) {
            builder.field("totals", totals.json());
        }
        if (onEncoderFailure != OnEncoderFailure.FAIL) {
            builder.field("on_encoder_failure", onEncoderFailure.json());
        }
        if (evidence == false) {
            builder.field("evidence", false);
        }
        return builder;
    }
}
