package org.mmsearch.answers;

import java.io.IOException;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.LeafReaderContext;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.fetch.FetchContext;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.fetch.FetchSubPhaseProcessor;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.search.lookup.SourceLookup;

/**
 * Excludes vectors from the sources that are still marked in the fetch phase: those of inner hits, of {@code top_hits}, and of hits that
 * {@link MarkedSearches} skipped. The source is unchanged if the index has no mmsearch vectors.
 */
final class MarkedSources implements FetchSubPhase {

    @Override
    public FetchSubPhaseProcessor getProcessor(FetchContext context) {
        if (Mark.is(context.fetchSourceContext()) == false) {
            return null;
        }
        List<String> vectors = NamedVectors.leftOut(context.mapperService());
        FetchSourceContext kept = new FetchSourceContext(true, null, vectors.toArray(String[]::new));
        return new FetchSubPhaseProcessor() {
            @Override
            public void setNextReader(LeafReaderContext leaf) {}

            @Override
            public void process(HitContext hit) throws IOException {
                SourceLookup source = hit.sourceLookup();
                if (source.internalSourceRef() == null && source.source() == null) {
                    return;
                }
                SearchHit.NestedIdentity nested = hit.hit().getNestedIdentity();
                hit.hit().sourceRef(nested == null && vectors.isEmpty() ? source.internalSourceRef() : written(source, kept, nested));
            }
        };
    }

    private static BytesReference written(SourceLookup source, FetchSourceContext kept, SearchHit.NestedIdentity nested)
        throws IOException {
        Object value = source.filter(kept);
        for (SearchHit.NestedIdentity object = nested; object != null && value != null; object = object.getChild()) {
            value = ((Map<?, ?>) value).get(object.getField().string());
        }
        XContentBuilder builder = new XContentBuilder(source.sourceContentType().xContent(), new BytesStreamOutput());
        // The response detects the content type from the source's bytes, which needs an object rather than null.
        builder.value(value == null ? Map.of() : value);
        return BytesReference.bytes(builder);
    }
}
