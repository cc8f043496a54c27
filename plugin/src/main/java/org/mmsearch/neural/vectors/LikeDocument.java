package org.mmsearch.neural.vectors;

import java.io.IOException;

import org.opensearch.core.ParseField;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.xcontent.ConstructingObjectParser;
import org.opensearch.core.xcontent.ToXContentObject;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;

/**
 * {@code like}: searches with the stored vector of a document. The document itself is not among the hits.
 *
 * @param id the document's {@code _id}
 * @param index its index, or null for the only index of the request
 * @param routing its routing, or null
 * @param weight the weight of its unit vector in combination with a text or an image
 */
public record LikeDocument(String id, String index, String routing, float weight) implements Writeable, ToXContentObject {

    private static final ParseField ID = new ParseField("_id");
    private static final ParseField INDEX = new ParseField("_index");
    private static final ParseField ROUTING = new ParseField("routing", "_routing");
    private static final ParseField WEIGHT = new ParseField("weight");
    private static final ConstructingObjectParser<LikeDocument, Void> PARSER = new ConstructingObjectParser<>(
        "like",
        args -> new LikeDocument((String) args[0], (String) args[1], (String) args[2], args[3] == null ? 1f : (float) args[3])
    );
    static {
        PARSER.declareString(ConstructingObjectParser.constructorArg(), ID);
        PARSER.declareString(ConstructingObjectParser.optionalConstructorArg(), INDEX);
        PARSER.declareString(ConstructingObjectParser.optionalConstructorArg(), ROUTING);
        PARSER.declareFloat(ConstructingObjectParser.optionalConstructorArg(), WEIGHT);
    }

    /**
     * Validates the values.
     *
     * @throws IllegalArgumentException if the id is empty or the weight is not positive
     */
    public LikeDocument {
        if (id.isEmpty()) {
            throw new IllegalArgumentException("the _id of like must not be empty");
        }
        if (weight > 0 == false || Float.isFinite(weight) == false) {
            throw new IllegalArgumentException("the weight of like must be a positive number, got [" + weight + "]");
        }
    }

    public LikeDocument(StreamInput in) throws IOException {
        this(in.readString(), in.readOptionalString(), in.readOptionalString(), in.readFloat());
    }

    public static LikeDocument parse(XContentParser parser) throws IOException {
        return PARSER.parse(parser, null);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeString(id);
        out.writeOptionalString(index);
        out.writeOptionalString(routing);
        out.writeFloat(weight);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject().field(ID.getPreferredName(), id);
        if (index != null) {
            builder.field(INDEX.getPreferredName(), index);
        }
        if (routing != null) {
            builder.field(ROUTING.getPreferredName(), routing);
        }
        return builder.field(WEIGHT.getPreferredName(), weight).endObject();
    }
}
