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
 * Writes the sources that are marked still when they are fetched: of inner hits, {@code top_hits}, and hits whose source others
 * read too. An index without vectors of mmsearch's gets what it would give unmarked.
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
        // An answer needs to see of what type a source is, which null does not tell.
        builder.value(value == null ? Map.of() : value);
        return BytesReference.bytes(builder);
    }
}
