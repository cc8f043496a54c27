package org.mmsearch.encoder.http;

import java.net.URI;
import java.util.Map;
import java.util.function.BiConsumer;

/** An HTTP/1.1 client that never holds a thread: what the calls to Triton need of one, and no more. */
public interface Http extends AutoCloseable {

    /** One call under way. */
    @FunctionalInterface
    interface Exchange {
        /** Aborts the call and closes its connection; the listener is called at once, on this thread, unless it has its answer. */
        void abort();
    }

    /**
     * Starts a call.
     *
     * @param headers sent beside {@code Host} and {@code Content-Length}
     * @param body the whole body; not changed while the call is under way
     * @param done called exactly once, on any thread: the reply of whatever status, or the error; it must not block.
     *     {@link java.net.ProtocolException} and {@link HttpReply.TooLong} say that the server does not speak as it should,
     *     any other {@link java.io.IOException} that the connection was not made or lost
     */
    Exchange post(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done);

    /** Ends all calls under way; nothing is waited for. */
    @Override
    void close();
}
