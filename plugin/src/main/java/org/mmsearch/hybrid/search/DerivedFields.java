package org.mmsearch.hybrid.search;

import java.io.IOException;
import java.io.UncheckedIOException;

import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.mapper.DerivedField;
import org.opensearch.search.builder.SearchSourceBuilder;

/** The derived fields of a request. */
final class DerivedFields {

    private DerivedFields() {}

    /** Copies the derived fields of one request to another. */
    static void copy(SearchSourceBuilder from, SearchSourceBuilder to) {
        if (from.getDerivedFieldsObject() != null) {
            // There is no setter, so write them as JSON and parse them.
            try (XContentBuilder json = JsonXContent.contentBuilder()) {
                json.startObject().field("derived", from.getDerivedFieldsObject()).endObject();
                try (
                    XContentParser parser = JsonXContent.jsonXContent.createParser(
                        NamedXContentRegistry.EMPTY,
                        DeprecationHandler.IGNORE_DEPRECATIONS,
                        BytesReference.bytes(json).streamInput()
                    )
                ) {
                    to.parseXContent(parser);
                }
            } catch (IOException e) {
                throw new UncheckedIOException("the derived fields of the request cannot be copied", e);
            }
        }
        if (from.getDerivedFields() != null) {
            for (DerivedField field : from.getDerivedFields()) {
                to.derivedField(
                    field.getName(),
                    field.getType(),
                    field.getScript(),
                    field.getProperties(),
                    field.getPrefilterField(),
                    field.getFormat(),
                    field.getIgnoreMalformed()
                );
            }
        }
    }
}
