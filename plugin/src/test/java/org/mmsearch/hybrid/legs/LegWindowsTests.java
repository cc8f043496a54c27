package org.mmsearch.hybrid.legs;

import java.util.List;

import org.apache.lucene.search.FieldDoc;
import org.apache.lucene.search.ScoreDoc;
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
}
