package org.mmsearch.hybrid.search;

import java.io.IOException;
import java.util.List;
import java.util.Objects;

import org.mmsearch.WireForm;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.search.SearchExtBuilder;

/** The {@code ext.mmsearch} section of a response: the missing legs. */
public final class MmsearchExt extends SearchExtBuilder {

    /** The name of the section. */
    public static final String NAME = "mmsearch";

    private final List<DegradedLeg> degraded;

    /** @param degraded the missing legs */
    public MmsearchExt(List<DegradedLeg> degraded) {
        this.degraded = degraded;
    }

    /** Reads it from the wire. */
    public MmsearchExt(StreamInput in) throws IOException {
        WireForm.read(in, NAME, WireForm.FIRST);
        degraded = in.readList(DegradedLeg::new);
    }

    /**
     * Rejects the section in a request.
     *
     * @throws ParsingException always
     */
    public static MmsearchExt parse(XContentParser parser) {
        throw new ParsingException(parser.getTokenLocation(), "[ext." + NAME + "] is part of responses: remove it from the request");
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeList(degraded);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME).startArray("degraded");
        for (DegradedLeg leg : degraded) {
            leg.toXContent(builder, params);
        }
        return builder.endArray().endObject();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof MmsearchExt that && degraded.equals(that.degraded);
    }

    @Override
    public int hashCode() {
        return Objects.hash(degraded);
    }
}
