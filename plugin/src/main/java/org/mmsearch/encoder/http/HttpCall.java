package org.mmsearch.encoder.http;

import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;

/** One call of {@link PlainHttp}: its bytes, and its listener. Whoever {@link #claim}s it, and nobody else, ends it. */
final class HttpCall implements Http.Exchange {

    private static final int SMALL = 16 << 10;

    final HttpTarget target;
    private final byte[] head;
    private final byte[] body;
    private final AtomicReference<BiConsumer<HttpReply, Throwable>> done;
    private volatile HttpConnection connection;

    HttpCall(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done) {
        this.target = HttpTarget.of(uri);
        this.body = body;
        this.done = new AtomicReference<>(done);
        StringBuilder lines = new StringBuilder(256).append("POST ")
            .append(uri.getRawPath())
            .append(" HTTP/1.1\r\nHost: ")
            .append(uri.getRawAuthority())
            .append("\r\nContent-Length: ")
            .append(body.length)
            .append("\r\n");
        headers.forEach((name, value) -> lines.append(name).append(": ").append(value).append("\r\n"));
        head = lines.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    /** The request: in one piece where it is small, so that it leaves in one packet. */
    List<ByteBuffer> bytes() {
        return body.length > SMALL
            ? List.of(ByteBuffer.wrap(head), ByteBuffer.wrap(body))
            : List.of(ByteBuffer.allocate(head.length + body.length).put(head).put(body).flip());
    }

    /** The listener; null when the call has already ended. The caller of this method has to call it. */
    BiConsumer<HttpReply, Throwable> claim() {
        return done.getAndSet(null);
    }

    boolean over() {
        return done.get() == null;
    }

    void fail(Throwable why) {
        BiConsumer<HttpReply, Throwable> listener = claim();
        if (listener != null) {
            listener.accept(null, why);
        }
    }

    /** The call goes over this connection from now on, and nothing of it has been written; false where it was aborted meanwhile. */
    boolean assign(HttpConnection connection) {
        this.connection = connection;
        return over() == false;
    }

    @Override
    public void abort() {
        BiConsumer<HttpReply, Throwable> listener = claim();
        if (listener == null) {
            return;
        }
        // The connection first: a server learns that nobody waits before the next call takes this one's place.
        HttpConnection carries = connection;
        if (carries != null) {
            carries.close(new CancellationException());
        }
        listener.accept(null, new CancellationException("the call was given up"));
    }
}
