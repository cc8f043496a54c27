package org.mmsearch.neural.vectors;

import java.io.IOException;
import java.util.Objects;

import org.mmsearch.WireForm;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.search.SearchExtBuilder;

/** Requests the indexed vector of each hit, for documents without the vector in {@code _source}. */
public final class IndexedVectorExt extends SearchExtBuilder {

    /** The name on the wire and of the hit field with the vector. */
    public static final String NAME = "mmsearch_indexed_vector";

    private final String field;

    /** @param field the vector field, outside nested documents */
    public IndexedVectorExt(String field) {
        this.field = field;
    }

    /** Reads it from the wire. */
    public IndexedVectorExt(StreamInput in) throws IOException {
        WireForm.read(in, NAME, WireForm.FIRST);
        field = in.readString();
    }

    /**
     * Rejects the section in a request.
     *
     * @throws ParsingException always
     */
    public static IndexedVectorExt parse(XContentParser parser) {
        throw new ParsingException(parser.getTokenLocation(), "[ext." + NAME + "] is internal: use [like] of the neural query");
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeString(field);
    }

    String field() {
        return field;
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        return builder.startObject(NAME).field("field", field).endObject();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof IndexedVectorExt that && field.equals(that.field);
    }

    @Override
    public int hashCode() {
        return Objects.hash(NAME, field);
    }
}
