package org.mmsearch.neural.vectors;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.index.ByteVectorValues;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.KnnVectorValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.VectorEncoding;
import org.opensearch.common.document.DocumentField;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.search.fetch.FetchContext;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.fetch.FetchSubPhaseProcessor;

/** Adds the indexed vector to each hit if {@link IndexedVectorExt} requests it. */
public final class IndexedVectorPhase implements FetchSubPhase {

    @Override
    public FetchSubPhaseProcessor getProcessor(FetchContext context) {
        if (!(context.getSearchExt(IndexedVectorExt.NAME) instanceof IndexedVectorExt ext)) {
            return null;
        }
        MappedFieldType type = context.getQueryShardContext().fieldMapper(ext.field());
        return type == null ? null : new Reader(type.name());
    }

    private static final class Reader implements FetchSubPhaseProcessor {
        private final String field;
        private LeafReader leaf;

        Reader(String field) {
            this.field = field;
        }

        @Override
        public void setNextReader(LeafReaderContext next) {
            leaf = next.reader();
        }

        @Override
        public void process(HitContext hit) throws IOException {
            float[] vector = vector(hit.docId());
            if (vector != null) {
                hit.hit().setDocumentField(IndexedVectorExt.NAME, new DocumentField(IndexedVectorExt.NAME, List.of(vector)));
            }
        }

        private float[] vector(int doc) throws IOException {
            // Field-level security removes a field only from the reader's field infos, so check these.
            FieldInfo info = leaf.getFieldInfos().fieldInfo(field);
            if (info == null || info.hasVectorValues() == false) {
                return null;
            }
            if (info.getVectorEncoding() == VectorEncoding.BYTE) {
                ByteVectorValues bytes = leaf.getByteVectorValues(field);
                int at = at(bytes, doc);
                return at < 0 ? null : floats(bytes.vectorValue(at));
            }
            FloatVectorValues floats = leaf.getFloatVectorValues(field);
            int at = at(floats, doc);
            return at < 0 ? null : floats.vectorValue(at).clone();
        }

        /** Returns the ordinal of a document's vector, or -1. */
        private static int at(KnnVectorValues values, int doc) throws IOException {
            if (values == null) {
                return -1;
            }
            KnnVectorValues.DocIndexIterator documents = values.iterator();
            return documents.advance(doc) == doc ? documents.index() : -1;
        }

        private static float[] floats(byte[] bytes) {
            float[] floats = new float[bytes.length];
            for (int i = 0; i < bytes.length; i++) {
                floats[i] = bytes[i];
            }
            return floats;
        }
    }
}
