package org.mmsearch.encoder.http;

import java.io.EOFException;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

import org.opensearch.test.OpenSearchTestCase;

/** Replies in pieces of any size, and what is no reply. */
public class HttpReplyParserTests extends OpenSearchTestCase {

    private static final String LENGTH = "HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello";
    private static final String CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "3;name=value\r\nhel\r\n002\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
    private static final String CONTINUED = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n" + LENGTH;

    public void testCutAtAnyByte() throws IOException {
        for (String text : List.of(LENGTH, CHUNKED, CONTINUED, LENGTH.replace("\r\n", "\n"))) {
            byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
            for (int cut = 0; cut < bytes.length; cut++) {
                HttpReplyParser parser = new HttpReplyParser();
                assertFalse(parser.feed(ByteBuffer.wrap(bytes, 0, cut)));
                expectThrows(EOFException.class, parser::end);
                assertTrue(parser.feed(ByteBuffer.wrap(bytes, cut, bytes.length - cut)));
                parser.end();
                assertEquals(200, parser.reply().status());
                assertEquals("hello", new String(parser.reply().body(), StandardCharsets.US_ASCII));
                assertTrue(parser.keepAlive());
            }
        }
    }

    public void testByteByByte() throws IOException {
        HttpReplyParser parser = new HttpReplyParser();
        byte[] bytes = CHUNKED.getBytes(StandardCharsets.ISO_8859_1);
        for (int i = 0; i < bytes.length; i++) {
            assertEquals(i == bytes.length - 1, parser.feed(ByteBuffer.wrap(bytes, i, 1)));
        }
        assertEquals("hello", new String(parser.reply().body(), StandardCharsets.US_ASCII));
    }

    public void testHeaders() throws IOException {
        HttpReplyParser parser = whole("HTTP/1.1 429 \r\nA: x\r\na:  y \r\nEmpty:\r\nContent-Length: 0\r\n\r\n");
        assertEquals(429, parser.reply().status());
        assertEquals(Map.of("a", "x,y", "empty", "", "content-length", "0"), parser.reply().headers());
        assertEquals("x,y", parser.reply().header("A"));
        assertNull(parser.reply().header("other"));
        assertEquals(0, parser.reply().body().length);
    }

    public void testUntilTheConnectionEnds() throws IOException {
        HttpReplyParser parser = new HttpReplyParser();
        assertFalse(parser.feed(bytes("HTTP/1.1 200 OK\r\n\r\nhel")));
        assertFalse(parser.feed(bytes("lo")));
        parser.end();
        assertEquals("hello", new String(parser.reply().body(), StandardCharsets.US_ASCII));
        assertFalse(parser.keepAlive());
    }

    public void testWhenTheConnectionStays() throws IOException {
        assertFalse(whole(LENGTH.replace("X-One: 1", "Connection: close")).keepAlive());
        assertFalse(whole(LENGTH.replace("X-One: 1", "Connection: x, Close")).keepAlive());
        assertFalse(whole(LENGTH.replace("HTTP/1.1", "HTTP/1.0")).keepAlive());
        assertTrue(whole(LENGTH.replace("X-One: 1", "Connection: keep-alive")).keepAlive());
        assertTrue(whole("HTTP/1.1 204 No Content\r\n\r\n").keepAlive());
    }

    public void testWhatFollowsTheReplyIsLeft() throws IOException {
        ByteBuffer two = bytes(LENGTH + LENGTH);
        assertTrue(new HttpReplyParser().feed(two));
        assertEquals(LENGTH.length(), two.remaining());
    }

    public void testWhatIsNoReply() {
        String ok = "HTTP/1.1 200 OK\r\n";
        for (String bad : List.of(
            "G",
            "HTTP/2 200 OK\r\n",
            "HTTP/1.1 20 OK\r\n",
            "HTTP/1.1 099 OK\r\n",
            "HTTP/1.1200 OK\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            ok + "no colon\r\n",
            ok + " folded: x\r\n",
            ok + "name : x\r\n",
            ok + ": x\r\n",
            ok + "Content-Length: -1\r\n\r\n",
            ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            ok + "Content-Length: 99999999999999999999\r\n\r\n",
            ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
            ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 " + "x".repeat(HttpReplyParser.MAX_HEAD_BYTES),
            ok + "A: x\r\n".repeat(HttpReplyParser.MAX_HEAD_BYTES),
            ok + "Transfer-Encoding: chunked\r\n\r\n1;" + "x".repeat(HttpReplyParser.MAX_HEAD_BYTES),
            ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "A: x\r\n".repeat(HttpReplyParser.MAX_HEAD_BYTES)
        )) {
            HttpReplyParser parser = new HttpReplyParser();
            expectThrows(ProtocolException.class, () -> parser.feed(bytes(bad)));
        }
    }

    public void testNoMoreThanAnAnswerCanBe() throws IOException {
        String most = "x".repeat(HttpReply.MAX_BODY_BYTES);
        assertEquals(most.length(), whole("HTTP/1.1 200 OK\r\nContent-Length: " + most.length() + "\r\n\r\n" + most).reply().body().length);
        for (String bad : List.of(
            "HTTP/1.1 200 OK\r\nContent-Length: " + (most.length() + 1) + "\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n" + most + "x",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + Integer.toHexString(most.length()) + "\r\n" + most + "\r\n1\r\nx"
        )) {
            HttpReplyParser parser = new HttpReplyParser();
            expectThrows(HttpReply.TooLong.class, () -> parser.feed(bytes(bad)));
        }
    }

    public void testRandomBytesAreTakenOrRefused() throws IOException {
        for (int i = 0; i < 2000; i++) {
            byte[] bytes = (randomBoolean() ? CHUNKED : CONTINUED).getBytes(StandardCharsets.ISO_8859_1);
            for (int j = 0; j < 3; j++) {
                bytes[randomInt(bytes.length - 1)] = randomByte();
            }
            HttpReplyParser parser = new HttpReplyParser();
            try {
                parser.feed(ByteBuffer.wrap(bytes));
                parser.end();
                assertTrue(parser.reply().status() >= 200);
            } catch (ProtocolException | EOFException | HttpReply.TooLong refused) {
                assertNotNull(refused.getMessage());
            }
        }
    }

    private static HttpReplyParser whole(String text) throws IOException {
        HttpReplyParser parser = new HttpReplyParser();
        assertTrue(parser.feed(bytes(text)));
        return parser;
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
    }
}
