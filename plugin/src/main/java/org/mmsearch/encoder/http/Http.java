package org.mmsearch.encoder.http;

import java.net.URI;
import java.util.Map;
import java.util.function.BiConsumer;

/** A non-blocking HTTP/1.1 client with the operations that calls to Triton need. */
public interface Http extends AutoCloseable {

    /** A call in flight. */
    @FunctionalInterface
    interface Exchange {
        /**
         * Aborts the call and closes its connection. Notifies the listener on this thread with a
         * {@link java.util.concurrent.CancellationException}. Does nothing if the listener was already notified.
         */
        void abort();
    }

    /**
     * Starts a call.
     *
     * @param headers headers to send in addition to {@code Host} and {@code Content-Length}
     * @param body the complete body; must not be modified while the call is in flight
     * @param done notified exactly once, on any thread, with the response of any status or with the error; must not block. The error is
     *     a {@link java.net.ProtocolException} or {@link HttpReply.TooLong} if the response is invalid, and another
     *     {@link java.io.IOException} if the connection failed or was lost
     * @return the call in flight
     */
    Exchange post(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done);

    /** Fails all calls in flight and closes their connections, without waiting. */
    @Override
    void close();
}
