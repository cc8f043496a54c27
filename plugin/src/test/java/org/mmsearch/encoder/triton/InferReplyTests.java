package org.mmsearch.encoder.triton;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.test.OpenSearchTestCase;

public class InferReplyTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 3);
    private static final float[] VECTOR = { 0.25f, -0.5f, 1f };

    public void testVector() {
        assertArrayEquals(VECTOR, read(List.of(1, 3), VECTOR, "f1"), 0f);
    }

    public void testAnotherFingerprintNamesBoth() {
        EncoderException e = expectThrows(EncoderException.class, () -> read(List.of(1, 3), VECTOR, "f2"));
        assertEquals(EncoderFailure.FINGERPRINT, e.failure());
        assertTrue(e.getMessage(), e.getMessage().contains("f1") && e.getMessage().contains("f2"));
    }

    public void testFingerprintIsNotAskedForWhereTheIndexNamesNone() {
        EncoderModel any = new EncoderModel("query_encoder", null, "EMBEDDING", null, 3);
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f2");
        assertArrayEquals(VECTOR, InferReply.vector(any, body, length(List.of(1, 3), VECTOR, "f2")), 0f);
    }

    public void testWrongDimension() {
        bad(List.of(1, 2), new float[] { 1, 2 });
    }

    public void testWrongCount() {
        bad(List.of(2, 3), new float[] { 1, 2, 3, 4, 5, 6 });
    }

    public void testShapeThatDoesNotMatchTheData() {
        bad(List.of(1, 3), new float[] { 1, 2 });
    }

    public void testNotFinite() {
        bad(List.of(1, 3), new float[] { 1, Float.NaN, 0 });
        bad(List.of(1, 3), new float[] { 1, Float.NEGATIVE_INFINITY, 0 });
    }

    public void testAllZeroIsTheCallersInput() {
        EncoderException e = expectThrows(EncoderException.class, () -> read(List.of(1, 3), new float[3], "f1"));
        assertEquals(EncoderFailure.INPUT, e.failure());
    }

    public void testMissingOutput() {
        byte[] body = StubTriton.reply("TEXT_EMBEDDING", List.of(1, 3), VECTOR, "f1");
        String length = Integer.toString(StubTriton.headerLength("TEXT_EMBEDDING", List.of(1, 3), VECTOR, "f1"));
        assertEquals(EncoderFailure.BAD_ANSWER, expectThrows(EncoderException.class, () -> InferReply.vector(MODEL, body, length)).failure());
    }

    public void testEveryCutIsABadAnswer() {
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        for (int length = 0; length < body.length; length++) {
            byte[] cut = Arrays.copyOf(body, length);
            badBody(cut, length(List.of(1, 3), VECTOR, "f1"));
        }
        badBody(Arrays.copyOf(body, body.length + 1), length(List.of(1, 3), VECTOR, "f1"));
    }

    public void testHeaderLength() {
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        for (String length : new String[] { null, "", "x", "-1", "0", "99999999999", Integer.toString(body.length + 1) }) {
            badBody(body, length);
        }
    }

    public void testGarbageNeverEndsInAnotherError() {
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        String length = length(List.of(1, 3), VECTOR, "f1");
        for (int i = 0; i < 20_000; i++) {
            byte[] mutated = body.clone();
            for (int n = between(1, 6); n > 0; n--) {
                mutated[between(0, mutated.length - 1)] = randomByte();
            }
            try {
                InferReply.vector(MODEL, mutated, length);
            } catch (EncoderException expected) {
                assertNotNull(expected.getMessage());
            }
        }
        for (String json : new String[] { "[]", "{}", "{\"outputs\":1}", "{\"outputs\":[1]}", "{\"outputs\":[{\"name\":1}]}", "null", "1",
            "{\"outputs\":[{\"name\":\"EMBEDDING\",\"parameters\":{\"binary_data_size\":99999999999}}]}", "[".repeat(5000) }) {
            badBody(json.getBytes(StandardCharsets.UTF_8), Integer.toString(json.length()));
        }
    }

    public void testErrorText() {
        assertEquals("it broke", InferReply.error("{\"error\":\"it broke\"}".getBytes(StandardCharsets.UTF_8)));
        assertEquals("<html> no", InferReply.error("<html>\n no".getBytes(StandardCharsets.UTF_8)));
        assertEquals("", InferReply.error(new byte[0]));
    }

    private static void bad(List<Integer> shape, float[] vector) {
        badBody(StubTriton.reply("EMBEDDING", shape, vector, "f1"), length(shape, vector, "f1"));
    }

    private static void badBody(byte[] body, String length) {
        EncoderException e = expectThrows(EncoderException.class, () -> InferReply.vector(MODEL, body, length));
        assertEquals(EncoderFailure.BAD_ANSWER, e.failure());
        assertTrue(e.getMessage(), e.getMessage().contains("query_encoder:1"));
    }

    private static float[] read(List<Integer> shape, float[] vector, String fingerprint) {
        return InferReply.vector(MODEL, StubTriton.reply("EMBEDDING", shape, vector, fingerprint), length(shape, vector, fingerprint));
    }

    private static String length(List<Integer> shape, float[] vector, String fingerprint) {
        return Integer.toString(StubTriton.headerLength("EMBEDDING", shape, vector, fingerprint));
    }
}
