package org.mmsearch.hybrid.legs;

import java.nio.ByteBuffer;

import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.opensearch.common.lucene.Lucene;

/** Identifies a reader, so that document numbers are used only in the reader that they belong to. */
public final class ReaderToken {

    private ReaderToken() {}

    /**
     * Returns a hash of the ids of the reader's segments in their order. Segment ids are random and unique.
     *
     * @param reader the reader of a shard
     */
    public static long of(IndexReader reader) {
        long token = reader.maxDoc();
        for (LeafReaderContext leaf : reader.leaves()) {
            ByteBuffer id = ByteBuffer.wrap(Lucene.segmentReader(leaf.reader()).getSegmentInfo().info.getId());
            token = (token * 31 + id.getLong()) * 31 + id.getLong();
        }
        return token;
    }
}
