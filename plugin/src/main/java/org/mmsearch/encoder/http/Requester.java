package org.mmsearch.encoder.http;

import java.util.concurrent.Executor;
import java.util.concurrent.Future;

import javax.net.ssl.SSLContext;

import org.apache.hc.core5.concurrent.ComplexFuture;
import org.apache.hc.core5.concurrent.FutureCallback;
import org.apache.hc.core5.concurrent.FutureContribution;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.config.CharCodingConfig;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.impl.bootstrap.HttpAsyncRequester;
import org.apache.hc.core5.http.impl.nio.ClientHttp1IOEventHandlerFactory;
import org.apache.hc.core5.http.impl.nio.ClientHttp1StreamDuplexerFactory;
import org.apache.hc.core5.http.nio.ssl.BasicClientTlsStrategy;
import org.apache.hc.core5.http.nio.ssl.TlsStrategy;
import org.apache.hc.core5.http.protocol.DefaultHttpProcessor;
import org.apache.hc.core5.http.protocol.RequestContent;
import org.apache.hc.core5.http.protocol.RequestTargetHost;
import org.apache.hc.core5.pool.LaxConnPool;
import org.apache.hc.core5.pool.PoolReusePolicy;
import org.apache.hc.core5.reactor.EndpointParameters;
import org.apache.hc.core5.reactor.IOReactorConfig;
import org.apache.hc.core5.reactor.IOSession;
import org.apache.hc.core5.util.TimeValue;
import org.apache.hc.core5.util.Timeout;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** HttpCore's asynchronous requester with one I/O thread. Connections start on a separate executor, because host name look-ups block. */
final class Requester extends HttpAsyncRequester {

    private static final Logger log = LogManager.getLogger(Requester.class);
    // No effective limit: the plugin's limit of calls in flight, over all servers, bounds the connections.
    private static final int MAX_CONNECTIONS = 1 << 16;
    private static final Http1Config HEADS = Http1Config.custom().setMaxLineLength(16 << 10).setMaxHeaderCount(100).build();

    private final Timeout connectTimeout;
    private final Executor resolver;

    Requester(Timeout connectTimeout, SSLContext context, Executor resolver) {
        this(connectTimeout, new BasicClientTlsStrategy(context), resolver);
    }

    private Requester(Timeout connectTimeout, TlsStrategy tls, Executor resolver) {
        super(
            // Connect timeouts are checked once per select interval.
            IOReactorConfig.custom().setIoThreadCount(1).setTcpNoDelay(true).setSelectInterval(TimeValue.ofMilliseconds(100)).build(),
            new ClientHttp1IOEventHandlerFactory(
                new ClientHttp1StreamDuplexerFactory(
                    new DefaultHttpProcessor(RequestTargetHost.INSTANCE, RequestContent.INSTANCE),
                    HEADS,
                    CharCodingConfig.DEFAULT
                ),
                tls,
                null
            ),
            null,
            failure -> log.debug("a connection to Triton failed", failure),
            null,
            new LaxConnPool<>(MAX_CONNECTIONS, TimeValue.NEG_ONE_MILLISECOND, PoolReusePolicy.LIFO, null),
            tls,
            null,
            null,
            null
        );
        this.connectTimeout = connectTimeout;
        this.resolver = resolver;
    }

    @Override
    public Future<IOSession> requestSession(HttpHost host, Timeout any, Object attachment, FutureCallback<IOSession> callback) {
        ComplexFuture<IOSession> session = new ComplexFuture<>(callback);
        try {
            resolver.execute(() -> begin(host, attachment, session));
        } catch (RuntimeException e) {
            session.failed(e);
        }
        return session;
    }

    private void begin(HttpHost host, Object attachment, ComplexFuture<IOSession> session) {
        if (attachment instanceof EndpointParameters ours && ours.getAttachment() instanceof HttpCall call && call.over()) {
            session.cancel();
            return;
        }
        try {
            session.setDependency(super.requestSession(host, connectTimeout, attachment, new FutureContribution<IOSession>(session) {
                @Override
                public void completed(IOSession made) {
                    session.completed(made);
                }
            }));
        } catch (RuntimeException e) {
            session.failed(e);
        }
    }
}
