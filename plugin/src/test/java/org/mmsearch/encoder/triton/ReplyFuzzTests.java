package org.mmsearch.encoder.triton;

import java.util.Arrays;
import java.util.List;

import org.mmsearch.Fuzzing;
import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.test.OpenSearchTestCase;

/** Fuzzes the parser of Triton's responses with random changes: the result is a vector or an {@link EncoderException}. */
public class ReplyFuzzTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 3);
    private static final float[] VECTOR = { 0.25f, -0.5f, 1f };

    public void testDamagedResponses() {
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        String header = Integer.toString(StubTriton.headerLength("EMBEDDING", List.of(1, 3), VECTOR, "f1"));
        Fuzzing fuzzing = new Fuzzing(20_000);
        while (fuzzing.goesOn()) {
            byte[] spoilt = body.clone();
            for (int changes = between(0, 6); changes > 0; changes--) {
                spoilt[between(0, spoilt.length - 1)] = rarely() ? (byte) '9' : randomByte();
            }
            if (rarely()) {
                spoilt = Arrays.copyOf(spoilt, between(0, spoilt.length + 8));
            }
            String length = rarely() ? randomFrom("", "-1", "x", "99999999999", Integer.toString(between(0, 2 * body.length))) : header;
            if (read(spoilt, length)) {
                fuzzing.taken();
            }
        }
        logger.info(fuzzing.counts());
    }

    /** Returns whether the response is parsed to a vector. */
    private static boolean read(byte[] body, String headerLength) {
        assertNotNull(InferReply.error(body));
        try {
            assertEquals(3, InferReply.vector(MODEL, body, headerLength).length);
            return true;
        } catch (EncoderException refused) {
            assertTrue(refused.getMessage(), refused.getMessage().contains("query_encoder:1"));
            return false;
        }
    }
}
