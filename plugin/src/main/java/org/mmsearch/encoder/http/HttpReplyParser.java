package org.mmsearch.encoder.http;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads one HTTP/1.1 reply to a POST from pieces of any size (RFC 9112), and takes no more of head and body than there
 * is reason to. Informational replies are passed over; bodies come by length, in chunks, or until the connection ends.
 */
public final class HttpReplyParser {

    /** The most bytes of a head, of one chunk's line, and of the trailers. */
    static final int MAX_HEAD_BYTES = 16 << 10;

    private static final byte[] BEGIN = "HTTP/1.".getBytes(StandardCharsets.US_ASCII);
    private static final Pattern STATUS = Pattern.compile("HTTP/1\\.([01]) ([1-9]\\d\\d)( .*)?");
    private static final Pattern CHUNK = Pattern.compile("([0-9a-fA-F]{1,7})[ \t]*(;.*)?");
    private static final Pattern LENGTH = Pattern.compile("\\d{1,18}");

    private enum At {
        STATUS,
        HEADERS,
        LENGTH,
        CHUNK_SIZE,
        CHUNK,
        CHUNK_END,
        TRAILERS,
        UNTIL_CLOSE,
        DONE
    }

    private final ByteArrayOutputStream line = new ByteArrayOutputStream(128);
    private final ByteArrayOutputStream body = new ByteArrayOutputStream(4096);
    private final Map<String, String> headers = new HashMap<>();
    private At at = At.STATUS;
    private int headBytes;
    private int status;
    private long missing;
    private boolean begun;
    private boolean keepAlive;

    /**
     * Takes the next bytes.
     *
     * @return whether the reply is complete; what follows it stays in the buffer
     * @throws ProtocolException when this is not HTTP/1.1
     * @throws HttpReply.TooLong when the body is longer than any answer can be
     */
    public boolean feed(ByteBuffer in) throws IOException {
        begun |= in.hasRemaining();
        while (at != At.DONE && in.hasRemaining()) {
            switch (at) {
                case LENGTH, CHUNK -> {
                    int size = (int) Math.min(missing, in.remaining());
                    take(in, size);
                    missing -= size;
                    if (missing == 0) {
                        at = at == At.LENGTH ? At.DONE : At.CHUNK_END;
                    }
                }
                case UNTIL_CLOSE -> take(in, in.remaining());
                default -> {
                    String whole = line(in);
                    if (whole != null) {
                        interpret(whole);
                    }
                }
            }
        }
        return at == At.DONE;
    }

    /**
     * The connection has ended.
     *
     * @throws EOFException when the reply has not
     */
    public void end() throws EOFException {
        if (at == At.UNTIL_CLOSE) {
            at = At.DONE;
        }
        if (at != At.DONE) {
            throw new EOFException("the connection ended " + (begun ? "in the middle of the answer" : "before an answer came"));
        }
    }

    /** The reply, once it is complete. */
    public HttpReply reply() {
        return new HttpReply(status, Map.copyOf(headers), body.toByteArray());
    }

    /** Whether the connection can take another call after this reply. */
    boolean keepAlive() {
        return keepAlive;
    }

    private void take(ByteBuffer in, int size) throws HttpReply.TooLong {
        if (size > HttpReply.MAX_BODY_BYTES - body.size()) {
            throw new HttpReply.TooLong();
        }
        byte[] part = new byte[size];
        in.get(part);
        body.write(part, 0, size);
    }

    /** The next whole line without its end, or null when more bytes must come first. */
    private String line(ByteBuffer in) throws ProtocolException {
        while (in.hasRemaining()) {
            byte next = in.get();
            if (next == '\n') {
                String whole = line.toString(StandardCharsets.ISO_8859_1);
                line.reset();
                return whole.endsWith("\r") ? whole.substring(0, whole.length() - 1) : whole;
            }
            // At the first wrong byte: a server that speaks something else may never send a whole line.
            if (at == At.STATUS && line.size() < BEGIN.length && next != BEGIN[line.size()]) {
                throw new ProtocolException("expected an answer that begins with HTTP/1., got another protocol");
            }
            if (++headBytes > MAX_HEAD_BYTES) {
                throw new ProtocolException("expected a head of at most " + MAX_HEAD_BYTES + " bytes, got more");
            }
            line.write(next);
        }
        return null;
    }

    private void interpret(String whole) throws IOException {
        switch (at) {
            case STATUS -> status(whole);
            case HEADERS -> {
                if (whole.isEmpty()) {
                    headersEnd();
                } else {
                    header(whole);
                }
            }
            case CHUNK_SIZE -> chunk(whole);
            case CHUNK_END -> {
                if (whole.isEmpty() == false) {
                    throw new ProtocolException("expected the end of a chunk, got more of it");
                }
                headBytes = 0;
                at = At.CHUNK_SIZE;
            }
            case TRAILERS -> {
                if (whole.isEmpty()) {
                    at = At.DONE;
                }
            }
            default -> throw new IllegalStateException("no line is read at " + at);
        }
    }

    private void status(String whole) throws ProtocolException {
        Matcher found = STATUS.matcher(whole);
        if (found.matches() == false) {
            throw new ProtocolException("expected a status line, got [" + shortened(whole) + "]");
        }
        keepAlive = found.group(1).equals("1");
        status = Integer.parseInt(found.group(2));
        at = At.HEADERS;
    }

    private void header(String whole) throws ProtocolException {
        int colon = whole.indexOf(':');
        // A name that begins or ends with a blank is how a folded line, or a smuggled one, looks.
        if (colon <= 0 || whole.substring(0, colon).chars().anyMatch(c -> c <= ' ')) {
            throw new ProtocolException("expected a header, got [" + shortened(whole) + "]");
        }
        headers.merge(
            whole.substring(0, colon).toLowerCase(Locale.ROOT),
            whole.substring(colon + 1).strip(),
            (one, other) -> one + "," + other
        );
    }

    private void headersEnd() throws IOException {
        if (status == 101) {
            throw new ProtocolException("expected an answer, got an upgrade that was not asked for");
        }
        if (status < 200) {
            headers.clear();
            at = At.STATUS;
            return;
        }
        String connection = headers.getOrDefault("connection", "");
        keepAlive &= Arrays.stream(connection.split(",")).noneMatch(token -> token.strip().equalsIgnoreCase("close"));
        String coding = headers.get("transfer-encoding");
        String length = headers.get("content-length");
        if (status == 204 || status == 304) {
            at = At.DONE;
        } else if (coding != null) {
            // Together with a length it is how one answer is made to look like two.
            if (coding.equalsIgnoreCase("chunked") == false || length != null) {
                throw new ProtocolException("expected a body by length or in chunks, got Transfer-Encoding [" + shortened(coding) + "]");
            }
            headBytes = 0;
            at = At.CHUNK_SIZE;
        } else if (length != null) {
            if (LENGTH.matcher(length).matches() == false) {
                throw new ProtocolException("expected one number in Content-Length, got [" + shortened(length) + "]");
            }
            missing = Long.parseLong(length);
            if (missing > HttpReply.MAX_BODY_BYTES) {
                throw new HttpReply.TooLong();
            }
            at = missing == 0 ? At.DONE : At.LENGTH;
        } else {
            keepAlive = false;
            at = At.UNTIL_CLOSE;
        }
    }

    private void chunk(String whole) throws ProtocolException {
        Matcher found = CHUNK.matcher(whole);
        if (found.matches() == false) {
            throw new ProtocolException("expected the size of a chunk, got [" + shortened(whole) + "]");
        }
        missing = Long.parseLong(found.group(1), 16);
        headBytes = 0;
        at = missing == 0 ? At.TRAILERS : At.CHUNK;
    }

    private static String shortened(String text) {
        return text.length() <= 80 ? text : text.substring(0, 80) + "…";
    }
}
