package org.mmsearch.encoder.http;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;

import org.apache.hc.core5.concurrent.FutureCallback;
import org.apache.hc.core5.http.ConnectionClosedException;
import org.apache.hc.core5.http.EntityDetails;
import org.apache.hc.core5.http.Header;
import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.HttpRequest;
import org.apache.hc.core5.http.HttpResponse;
import org.apache.hc.core5.http.impl.BasicEntityDetails;
import org.apache.hc.core5.http.nio.AsyncClientEndpoint;
import org.apache.hc.core5.http.nio.AsyncClientExchangeHandler;
import org.apache.hc.core5.http.nio.CapacityChannel;
import org.apache.hc.core5.http.nio.DataStreamChannel;
import org.apache.hc.core5.http.nio.RequestChannel;
import org.apache.hc.core5.http.protocol.HttpContext;
import org.apache.hc.core5.http.protocol.HttpCoreContext;

/** One call of {@link ReactorHttp}: sends the request, collects the response and notifies the listener exactly once. */
final class HttpCall implements Http.Exchange, FutureCallback<AsyncClientEndpoint>, AsyncClientExchangeHandler {

    private final HttpRequest request;
    private final ByteBuffer body;
    private final AtomicReference<BiConsumer<HttpReply, Throwable>> done;
    private final Set<HttpCall> underWay;
    private final ByteArrayOutputStream answer = new ByteArrayOutputStream(4096);
    private volatile AsyncClientEndpoint connection;
    private HttpResponse head;

    /** @param underWay the set of calls in flight, which contains this call until it has ended */
    HttpCall(HttpRequest request, byte[] body, BiConsumer<HttpReply, Throwable> done, Set<HttpCall> underWay) {
        this.request = request;
        this.body = ByteBuffer.wrap(body);
        this.done = new AtomicReference<>(done);
        this.underWay = underWay;
        underWay.add(this);
    }

    /** Returns whether the call has ended, for example because it was aborted. It then needs no connection. */
    boolean over() {
        return done.get() == null;
    }

    /** Ends the call and returns its listener, which the caller must notify; null if the call had already ended. */
    private BiConsumer<HttpReply, Throwable> claim() {
        underWay.remove(this);
        return done.getAndSet(null);
    }

    private void end(HttpReply reply, Throwable error) {
        BiConsumer<HttpReply, Throwable> listener = claim();
        if (listener != null) {
            listener.accept(reply, error);
        }
    }

    @Override
    public void abort() {
        BiConsumer<HttpReply, Throwable> listener = claim();
        if (listener == null) {
            return;
        }
        // Close the connection before notifying the listener, so that the server stops the work before the next call starts.
        discard();
        listener.accept(null, new CancellationException("the call was aborted"));
    }

    private void discard() {
        AsyncClientEndpoint carries = connection;
        if (carries != null) {
            carries.releaseAndDiscard();
        }
    }

    /** Sends the request on the connection that was obtained. */
    @Override
    public void completed(AsyncClientEndpoint endpoint) {
        connection = endpoint;
        if (over()) {
            // Do not keep the connection: after many cancelled searches, there would be more connections than calls allowed in flight.
            endpoint.releaseAndDiscard();
            return;
        }
        try {
            endpoint.execute(this, HttpCoreContext.create());
        } catch (IllegalStateException e) {
            // The call was aborted meanwhile, which closed the connection.
            failed(e);
        }
    }

    @Override
    public void produceRequest(RequestChannel channel, HttpContext context) throws HttpException, IOException {
        channel.sendRequest(request, new BasicEntityDetails(body.remaining(), null), context);
    }

    @Override
    public int available() {
        return body.remaining();
    }

    @Override
    public void produce(DataStreamChannel channel) throws IOException {
        channel.write(body);
        if (body.hasRemaining() == false) {
            channel.endStream();
        }
    }

    @Override
    public void consumeInformation(HttpResponse response, HttpContext context) {
        // Ignore informational (1xx) responses: the final response follows.
    }

    @Override
    public void consumeResponse(HttpResponse response, EntityDetails entity, HttpContext context) throws IOException {
        head = response;
        if (entity == null) {
            answered();
        } else if (entity.getContentLength() > HttpReply.MAX_BODY_BYTES) {
            throw new HttpReply.TooLong();
        }
    }

    @Override
    public void updateCapacity(CapacityChannel channel) throws IOException {
        channel.update(HttpReply.MAX_BODY_BYTES);
    }

    @Override
    public void consume(ByteBuffer part) throws IOException {
        if (part.remaining() > HttpReply.MAX_BODY_BYTES - answer.size()) {
            throw new HttpReply.TooLong();
        }
        byte[] bytes = new byte[part.remaining()];
        part.get(bytes);
        answer.writeBytes(bytes);
    }

    @Override
    public void streamEnd(List<? extends Header> trailers) {
        answered();
    }

    private void answered() {
        if (body.hasRemaining()) {
            connection.releaseAndDiscard();
        } else {
            connection.releaseAndReuse();
        }
        Map<String, String> headers = new HashMap<>();
        for (Header header : head.getHeaders()) {
            headers.merge(header.getName().toLowerCase(Locale.ROOT), header.getValue(), (first, next) -> first + "," + next);
        }
        end(new HttpReply(head.getCode(), headers, answer.toByteArray()), null);
    }

    /** Ends the call with an error, because no connection was obtained or the exchange failed. */
    @Override
    public void failed(Exception cause) {
        discard();
        end(null, HttpFailure.of(cause));
    }

    /** Ends the call with an error, because the connection was closed before the request was sent. */
    @Override
    public void cancel() {
        failed(new ConnectionClosedException());
    }

    @Override
    public void cancelled() {
        failed(new ConnectionClosedException("the client is closed"));
    }

    @Override
    public void releaseResources() {
        discard();
    }
}
