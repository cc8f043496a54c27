package org.mmsearch;

import java.io.IOException;

import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.test.OpenSearchTestCase;

/** Tests that unknown form numbers are rejected. */
public class WireFormTests extends OpenSearchTestCase {

    public void testWritten() throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            WireForm.begin(out, 2);
            assertArrayEquals(new byte[] { 2 }, BytesReference.toBytes(out.bytes()));
        }
    }

    public void testRead() throws IOException {
        assertEquals(1, WireForm.read(new BytesArray(new byte[] { 1 }).streamInput(), "x", 2));
        assertEquals(2, WireForm.read(new BytesArray(new byte[] { 2 }).streamInput(), "x", 2));
        for (byte unknown : new byte[] { 0, 3, 100 }) {
            Exception e = expectThrows(IOException.class, () -> WireForm.read(new BytesArray(new byte[] { unknown }).streamInput(), "x", 2));
            assertEquals("expected [x] in a form from 1 to 2, got " + unknown + ": run one version of mmsearch on all nodes", e.getMessage());
        }
    }
}
