package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.search.FieldDoc;
import org.apache.lucene.search.ScoreDoc;
import org.mmsearch.fusion.Ranking;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.test.OpenSearchTestCase;

/** Tests that windows are encoded without copying the hits: copies would use heap that is not reserved. */
public class LegWindowsTests extends OpenSearchTestCase {

    public void testHitsAreNotCopied() {
        ScoreDoc plain = new ScoreDoc(7, 2);
        FieldDoc sorted = new FieldDoc(8, 1);
        LegWindows windows = new LegWindows(-5L, List.of(new ScoreDoc[] { plain, sorted }, new ScoreDoc[0]));
        LegWindows read = LegWindows.of(windows.topDocs());
        assertEquals(-5L, read.reader());
        assertEquals(2, read.legs().size());
        assertSame(plain, read.legs().get(0)[0]);
        assertEquals("the wire takes no other class", ScoreDoc.class, read.legs().get(0)[1].getClass());
        assertEquals(8, read.legs().get(0)[1].doc);
        assertEquals(0, read.legs().get(1).length);
    }

    public void testRangesTravelWithTheWindows() throws IOException {
        List<ScoreRange> ranges = List.of(new ScoreRange(0.5f, 1), ScoreRange.NONE);
        LegWindows windows = new LegWindows(-5L, List.of(new ScoreDoc[] { new ScoreDoc(7, 2) }, new ScoreDoc[0]), ranges);
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            windows.writeTo(out);
            LegWindows read = LegWindows.read(out.bytes().streamInput());
            assertEquals(ranges, read.ranges());
            assertEquals(7, read.legs().get(0)[0].doc);
            assertEquals(0, read.legs().get(1).length);
        }
        // Without ranges, the form is the one that older nodes know.
        assertEquals(1, new LegWindows(-5L, windows.legs()).topDocs().scoreDocs[0].doc);
    }

    /** A hit's range is that of its shard; a leg whose hits do not all have one has none. */
    public void testMergedHitsKeepTheRangesOfTheirShards() {
        ScoreRange first = new ScoreRange(0, 10);
        ScoreRange second = new ScoreRange(0, 5);
        List<ScoreDoc[]> both = List.of(new ScoreDoc[] { new ScoreDoc(1, 4) }, new ScoreDoc[] { new ScoreDoc(1, 4) });
        List<ScoreDoc[]> better = List.of(new ScoreDoc[] { new ScoreDoc(2, 5) }, new ScoreDoc[] { new ScoreDoc(2, 5) });
        ShardId shard = new ShardId("index", "uuid", 0);
        List<Ranking> rankings = ShardWindows.merge(
            List.of(
                new ShardWindows(shard, new LegWindows(1, both, List.of(first, first))),
                new ShardWindows(shard, new LegWindows(2, better, List.of(second, ScoreRange.NONE)))
            ),
            2,
            10
        );
        assertArrayEquals(new ScoreRange[] { second, first }, rankings.get(0).ranges());
        assertNull(rankings.get(1).ranges());
    }
}
