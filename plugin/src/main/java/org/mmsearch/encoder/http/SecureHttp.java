package org.mmsearch.encoder.http;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;

import javax.net.ssl.SSLContext;

/** HTTP/1.1 over TLS by the JDK's own client, which knows certificates and handshakes. */
public final class SecureHttp implements Http {

    private final HttpClient client;
    private final Executor starter;

    /**
     * @param connectMillis the longest that a connection may take to be made
     * @param tls the context, or null for the JDK's own authorities
     * @param starter begins calls: the client looks host names up on the thread that does, which may block
     */
    public SecureHttp(long connectMillis, SSLContext tls, Executor starter) {
        this.starter = starter;
        HttpClient.Builder builder = HttpClient.newBuilder()
            // Triton speaks 1.1; asking for 2 would cost an upgrade header with every call.
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(Duration.ofMillis(connectMillis))
            // Its own steps neither block nor take long, and each hop between threads costs more than they do: they run where
            // they are asked for, on the caller's thread and the client's selector.
            .executor(Runnable::run);
        client = (tls == null ? builder : builder.sslContext(tls)).build();
    }

    @Override
    public Exchange post(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofByteArray(body));
        headers.forEach(request::header);
        CompletableFuture<HttpReply> call = new CompletableFuture<>();
        call.whenComplete((reply, error) -> done.accept(reply, error));
        try {
            starter.execute(() -> start(request.build(), call));
        } catch (RuntimeException e) {
            call.completeExceptionally(e);
        }
        return () -> call.cancel(true);
    }

    private void start(HttpRequest request, CompletableFuture<HttpReply> call) {
        if (call.isDone()) {
            return;
        }
        CompletableFuture<HttpResponse<byte[]>> sent = client.sendAsync(request, info -> new LimitedBody());
        call.whenComplete((reply, error) -> sent.cancel(true));
        sent.whenComplete((response, error) -> {
            if (error == null) {
                call.complete(new HttpReply(response.statusCode(), headers(response), response.body()));
            } else {
                call.completeExceptionally(error instanceof CompletionException e && e.getCause() != null ? e.getCause() : error);
            }
        });
    }

    private static Map<String, String> headers(HttpResponse<byte[]> response) {
        Map<String, String> headers = new HashMap<>();
        response.headers().map().forEach((name, values) -> headers.put(name.toLowerCase(Locale.ROOT), String.join(",", values)));
        return headers;
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
