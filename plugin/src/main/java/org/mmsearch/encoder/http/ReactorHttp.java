package org.mmsearch.encoder.http;

import java.io.IOException;
import java.net.URI;
import java.security.NoSuchAlgorithmException;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;

import javax.net.ssl.SSLContext;

import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.message.BasicHttpRequest;
import org.apache.hc.core5.io.CloseMode;
import org.apache.hc.core5.util.TimeValue;
import org.apache.hc.core5.util.Timeout;

/** An {@link Http} client built on Apache HttpCore, with TLS for {@code https}. One thread writes all requests and reads all responses. */
public final class ReactorHttp implements Http {

    // Shorter than the keep-alive of common servers and proxies, so that a reused connection is rarely closed.
    private static final TimeValue IDLE = TimeValue.ofSeconds(20);
    private static final long SWEEP_MILLIS = 5_000;

    private final Requester requester;
    private final Timer timer;
    private final Set<HttpCall> underWay = ConcurrentHashMap.newKeySet();
    private volatile Runnable sweep;
    private volatile boolean closed;

    /**
     * Creates and starts the client.
     *
     * @param connectMillis connect timeout in milliseconds
     * @param tls the TLS context, or null for the JDK's trusted authorities
     * @param timer schedules the closing of idle connections
     * @param resolver runs look-ups of host names, which may block
     */
    public ReactorHttp(long connectMillis, SSLContext tls, Timer timer, Executor resolver) {
        this.timer = timer;
        requester = new Requester(Timeout.ofMilliseconds(connectMillis), tls == null ? jdks() : tls, resolver);
        requester.start();
        sweep();
    }

    private static SSLContext jdks() {
        try {
            return SSLContext.getDefault();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("the JDK has no TLS", e);
        }
    }

    @Override
    public Exchange post(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done) {
        BasicHttpRequest request = new BasicHttpRequest("POST", uri);
        headers.forEach(request::addHeader);
        HttpCall call = new HttpCall(request, body, done, underWay);
        HttpHost host = new HttpHost(request.getScheme(), request.getAuthority());
        try {
            // No timeout here, because it would also apply to the response. Connect and response have separate timeouts.
            requester.connect(host, Timeout.DISABLED, call, call);
        } catch (RuntimeException e) {
            call.failed(e);
        }
        if (closed) {
            end(call);
        }
        return call;
    }

    /** Returns the number of idle connections in the pool. */
    int idleConnections() {
        return requester.getTotalStats().getAvailable();
    }

    private void sweep() {
        sweep = timer.schedule(SWEEP_MILLIS, () -> {
            requester.closeIdle(IDLE);
            if (closed == false) {
                sweep();
            }
        });
    }

    @Override
    public void close() {
        closed = true;
        sweep.run();
        requester.close(CloseMode.IMMEDIATE);
        // HttpCore does not notify all calls when it closes immediately.
        underWay.forEach(ReactorHttp::end);
    }

    private static void end(HttpCall call) {
        call.failed(new IOException("the client is closed"));
    }
}
