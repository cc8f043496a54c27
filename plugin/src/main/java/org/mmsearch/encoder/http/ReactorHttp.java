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

/** HTTP/1.1, over TLS for https, by Apache HttpCore: one thread writes all requests and reads all answers. */
public final class ReactorHttp implements Http {

    // Shorter than servers and the boxes between keep a silent connection.
    private static final TimeValue IDLE = TimeValue.ofSeconds(20);
    private static final long SWEEP_MILLIS = 5_000;

    private final Requester requester;
    private final Timer timer;
    private final Set<HttpCall> underWay = ConcurrentHashMap.newKeySet();
    private volatile Runnable sweep;
    private volatile boolean closed;

    /**
     * @param connectMillis the longest that a connection may take to be made
     * @param tls the context, or null for the JDK's own authorities
     * @param resolver looks host names up, which may block
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
            // Each step has a limit of its own: what is given here would be one for the answer too.
            requester.connect(host, Timeout.DISABLED, call, call);
        } catch (RuntimeException e) {
            call.failed(e);
        }
        if (closed) {
            end(call);
        }
        return call;
    }

    /** Connections that wait for a call. */
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
        // The library may be too fast in closing to tell them.
        underWay.forEach(ReactorHttp::end);
    }

    private static void end(HttpCall call) {
        call.failed(new IOException("the client is closed"));
    }
}
