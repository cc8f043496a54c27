package org.mmsearch.encoder.triton;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

import org.mmsearch.Fuzzing;
import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.http.HttpReply;
import org.mmsearch.encoder.http.HttpReplyParser;
import org.opensearch.test.OpenSearchTestCase;

/** Triton's answers spoilt at random, through both of their readers: a vector, or an error that the caller can be told. */
public class ReplyFuzzTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 3);
    private static final float[] VECTOR = { 0.25f, -0.5f, 1f };

    public void testSpoiltAnswers() {
        byte[] body = StubTriton.reply("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        int header = StubTriton.headerLength("EMBEDDING", List.of(1, 3), VECTOR, "f1");
        String head = "HTTP/1.1 200 OK\r\n" + InferRequest.HEADER_LENGTH + ": " + header + "\r\n";
        byte[][] examples = {
            joined((head + "Content-Length: " + body.length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII), body),
            joined((head + "\r\n").getBytes(StandardCharsets.US_ASCII), body),
            joined((head + "Transfer-Encoding: chunked\r\n\r\n" + Integer.toHexString(body.length) + "\r\n").getBytes(StandardCharsets.US_ASCII),
                body, "\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII)) };
        Fuzzing fuzzing = new Fuzzing(20_000);
        while (fuzzing.goesOn()) {
            byte[] spoilt = randomFrom(examples).clone();
            for (int changes = between(0, 6); changes > 0; changes--) {
                spoilt[between(0, spoilt.length - 1)] = rarely() ? (byte) '9' : randomByte();
            }
            if (rarely()) {
                spoilt = Arrays.copyOf(spoilt, between(0, spoilt.length + 8));
            }
            if (read(spoilt)) {
                fuzzing.taken();
            }
        }
        logger.info(fuzzing.counts());
    }

    /** Whether a vector comes of it. */
    private boolean read(byte[] bytes) {
        HttpReplyParser parser = new HttpReplyParser();
        try {
            for (ByteBuffer in = ByteBuffer.wrap(bytes); in.hasRemaining();) {
                ByteBuffer piece = in.slice(in.position(), Math.min(in.remaining(), between(1, 64)));
                int size = piece.remaining();
                if (parser.feed(piece)) {
                    break;
                }
                in.position(in.position() + size);
            }
            parser.end();
        } catch (IOException refused) {
            assertNotNull(refused.getMessage());
            return false;
        }
        HttpReply reply = parser.reply();
        try {
            if (reply.status() != 200) {
                assertNotNull(InferReply.error(reply.body()));
                return false;
            }
            assertEquals(3, InferReply.vector(MODEL, reply.body(), reply.header(InferRequest.HEADER_LENGTH)).length);
            return true;
        } catch (EncoderException refused) {
            assertTrue(refused.getMessage(), refused.getMessage().contains("query_encoder:1"));
            return false;
        }
    }

    private static byte[] joined(byte[]... parts) {
        ByteBuffer all = ByteBuffer.allocate(Arrays.stream(parts).mapToInt(part -> part.length).sum());
        for (byte[] part : parts) {
            all.put(part);
        }
        return all.array();
    }
}
