package org.mmsearch.neural;

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
 * {@code negative_text}, a text that hits should not resemble: a string, or {@code {"text": "...", "weight": 0.5}}.
 *
 * @param text the text
 * @param weight the factor of its unit vector, which is subtracted from the query vector
 */
public record NegativeText(String text, float weight) implements Writeable, ToXContentObject {

    static final float DEFAULT_WEIGHT = 0.5f;
    private static final ParseField TEXT = new ParseField("text");
    private static final ParseField WEIGHT = new ParseField("weight");
    private static final ConstructingObjectParser<NegativeText, Void> PARSER = new ConstructingObjectParser<>(
        "negative_text",
        args -> new NegativeText((String) args[0], args[1] == null ? DEFAULT_WEIGHT : (float) args[1])
    );
    static {
        PARSER.declareString(ConstructingObjectParser.constructorArg(), TEXT);
        PARSER.declareFloat(ConstructingObjectParser.optionalConstructorArg(), WEIGHT);
    }

    /**
     * Validates the values.
     *
     * @throws IllegalArgumentException if the text is blank or the weight is not positive
     */
    public NegativeText {
        if (text.isBlank()) {
            throw new IllegalArgumentException("negative_text must not be empty");
        }
        if (weight > 0 == false || Float.isFinite(weight) == false) {
            throw new IllegalArgumentException("the weight of negative_text must be a positive number, got [" + weight + "]");
        }
    }

    NegativeText(StreamInput in) throws IOException {
        this(in.readString(), in.readFloat());
    }

    static NegativeText parse(XContentParser parser) throws IOException {
        return parser.currentToken() == XContentParser.Token.VALUE_STRING
            ? new NegativeText(parser.text(), DEFAULT_WEIGHT)
            : PARSER.parse(parser, null);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeString(text);
        out.writeFloat(weight);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        return builder.startObject().field(TEXT.getPreferredName(), text).field(WEIGHT.getPreferredName(), weight).endObject();
    }
}
