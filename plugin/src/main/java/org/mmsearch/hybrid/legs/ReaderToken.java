package org.mmsearch.hybrid.legs;

import java.nio.ByteBuffer;

import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.opensearch.common.lucene.Lucene;

/** Tells readers apart, so that document numbers of one are never looked up in another. */
public final class ReaderToken {

    private ReaderToken() {}

    /**
     * @param reader of a shard
     * @return a number made of the identities of its segments, which are random and unique, in their order
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
