package org.mmsearch.hybrid.search;

import java.io.IOException;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.xcontent.ToXContentObject;
import org.opensearch.core.xcontent.XContentBuilder;

/**
 * A leg that is missing from a response.
 *
 * @param leg the name of the leg
 * @param reason the cause
 */
public record DegradedLeg(String leg, String reason) implements Writeable, ToXContentObject {

    /** Reads it from the wire. */
    public DegradedLeg(StreamInput in) throws IOException {
        this(in.readString(), in.readString());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeString(leg);
        out.writeString(reason);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        return builder.startObject().field("leg", leg).field("reason", reason).endObject();
    }
}
