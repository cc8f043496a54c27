package org.mmsearch.encoder.http;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ProtocolException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;

import org.apache.hc.core5.http.message.BasicHttpRequest;
import org.apache.hc.core5.http.nio.AsyncClientEndpoint;
import org.apache.hc.core5.http.nio.AsyncClientExchangeHandler;
import org.apache.hc.core5.http.nio.AsyncPushConsumer;
import org.apache.hc.core5.http.nio.HandlerFactory;
import org.apache.hc.core5.http.protocol.HttpContext;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.triton.InferRequest;
import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.test.OpenSearchTestCase;

/** Tests the client against a server that is controlled byte by byte. */
public class ReactorHttpTests extends OpenSearchTestCase {

    private static final String OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private final BlockingQueue<Socket> accepted = new LinkedBlockingQueue<>();
    private ServerSocket server;
    private ExecutorService executor;
    private ScheduledExecutorService scheduler;
    private ReactorHttp http;

    @Override
    public void setUp() throws Exception {
        super.setUp();
        server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofPlatform().daemon().name("http-server").start(this::accept);
        executor = Executors.newFixedThreadPool(2);
        scheduler = Executors.newSingleThreadScheduledExecutor();
        http = new ReactorHttp(500, null, this::schedule, executor);
    }

    @Override
    public void tearDown() throws Exception {
        http.close();
        server.close();
        scheduler.shutdownNow();
        executor.shutdown();
        assertTrue(executor.awaitTermination(5, TimeUnit.SECONDS));
        super.tearDown();
    }

    public void testTheRequest() throws Exception {
        CompletableFuture<HttpReply> reply = post("hello", Map.of("X-One", "1"));
        Socket socket = socket();
        assertEquals(
            "POST /a/b HTTP/1.1\r\nX-One: 1\r\nHost: 127.0.0.1:" + server.getLocalPort() + "\r\nContent-Length: 5\r\n\r\nhello",
            asked(socket, 5)
        );
        say(socket, OK);
        assertEquals("ok", said(reply));
    }

    public void testAConnectionIsUsedAgain() throws Exception {
        CompletableFuture<HttpReply> first = post("1", Map.of());
        Socket socket = socket();
        asked(socket, 1);
        say(socket, OK);
        assertEquals("ok", said(first));
        for (int i = 0; i < 3; i++) {
            CompletableFuture<HttpReply> next = post("2", Map.of());
            assertTrue(asked(socket, 1).endsWith("2"));
            say(socket, OK);
            assertEquals("ok", said(next));
        }
        assertNull("no second connection", accepted.poll());
        assertEquals(1, http.idleConnections());
    }

    public void testTwoCallsAreTwoConnections() throws Exception {
        CompletableFuture<HttpReply> first = post("1", Map.of());
        CompletableFuture<HttpReply> second = post("1", Map.of());
        Socket one = socket();
        Socket two = socket();
        say(two, OK);
        say(one, OK);
        assertEquals("ok", said(first));
        assertEquals("ok", said(second));
    }

    public void testAConnectionThatEndsIsNotUsedAgain() throws Exception {
        for (String last : List.of(OK.replace("OK", "OK\r\nConnection: close"), OK.replace("HTTP/1.1", "HTTP/1.0"))) {
            CompletableFuture<HttpReply> reply = post("1", Map.of());
            Socket socket = socket();
            say(socket, last);
            assertEquals("ok", said(reply));
            asked(socket, 1);
            assertEquals("the server sees the end", -1, socket.getInputStream().read());
        }
        CompletableFuture<HttpReply> toTheEnd = post("1", Map.of());
        Socket socket = socket();
        asked(socket, 1);
        say(socket, "HTTP/1.1 200 OK\r\n\r\nok");
        socket.close();
        assertEquals("ok", said(toTheEnd));
        CompletableFuture<HttpReply> next = post("1", Map.of());
        say(socket(), OK);
        assertEquals("ok", said(next));
    }

    public void testAnIdleConnectionThatTheServerCloses() throws Exception {
        CompletableFuture<HttpReply> reply = post("1", Map.of());
        Socket socket = socket();
        asked(socket, 1);
        say(socket, OK);
        said(reply);
        socket.close();
        // A call that starts before the client notices the close fails as a lost connection, so it is retried.
        Thread.sleep(100);
        CompletableFuture<HttpReply> next = post("1", Map.of());
        say(socket(), OK);
        assertEquals("ok", said(next));
    }

    public void testASlowChunkedResponseAfterAContinue() throws Exception {
        CompletableFuture<HttpReply> reply = post("1", Map.of());
        Socket socket = socket();
        asked(socket, 1);
        String all = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
        for (int i = 0; i < all.length(); i++) {
            say(socket, all.substring(i, i + 1));
            if (i % 10 == 0) {
                Thread.sleep(1);
            }
        }
        assertEquals("ok", said(reply));
        assertEquals(1, http.idleConnections());
    }

    public void testALargeRequestToASlowReader() throws Exception {
        String large = "x".repeat(8 << 20);
        CompletableFuture<HttpReply> reply = post(large, Map.of());
        Socket socket = socket();
        // Larger than the socket buffers, so the client must wait until it can write, without blocking a thread.
        assertFalse(reply.isDone());
        assertTrue(asked(socket, large.length()).endsWith("xx"));
        say(socket, OK);
        assertEquals("ok", said(reply));
        CompletableFuture<HttpReply> next = post("2", Map.of());
        assertTrue(asked(socket, 1).endsWith("2"));
        say(socket, OK);
        assertEquals("ok", said(next));
    }

    public void testAResponseBeforeTheRequestIsComplete() throws Exception {
        CompletableFuture<HttpReply> reply = post("x".repeat(32 << 20), Map.of());
        Socket socket = socket();
        say(socket, "HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno");
        assertEquals(413, reply.get(10, TimeUnit.SECONDS).status());
        assertEquals("half a request is on it", 0, http.idleConnections());
    }

    public void testWhatFails() throws Exception {
        for (String bad : List.of("SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nX: " + "x".repeat(1 << 20))) {
            CompletableFuture<HttpReply> reply = post("1", Map.of());
            sayMost(socket(), bad);
            assertTrue(failure(reply) instanceof ProtocolException);
        }
        CompletableFuture<HttpReply> tooLong = post("1", Map.of());
        say(socket(), "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n");
        assertTrue(failure(tooLong) instanceof HttpReply.TooLong);
        for (String cut : List.of("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")) {
            CompletableFuture<HttpReply> reply = post("1", Map.of());
            Socket socket = socket();
            asked(socket, 1);
            say(socket, cut);
            socket.close();
            Throwable lost = failure(reply);
            assertTrue(String.valueOf(lost), lost instanceof IOException && lost instanceof ProtocolException == false);
        }
        assertEquals(0, http.idleConnections());
    }

    public void testNoServer() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        assertTrue(failure(post(URI.create("http://127.0.0.1:" + port + "/"), "1", Map.of())) instanceof ConnectException);
    }

    public void testAConnectionThatIsNotMadeInTime() throws Exception {
        List<SocketChannel> waiting = new ArrayList<>();
        try (ServerSocket full = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            // The server does not accept: the kernel accepts a few connections, then no more.
            for (int i = 0; i < 8; i++) {
                SocketChannel channel = SocketChannel.open();
                waiting.add(channel);
                channel.configureBlocking(false);
                channel.connect(full.getLocalSocketAddress());
            }
            URI there = URI.create("http://127.0.0.1:" + full.getLocalPort() + "/");
            long begin = System.nanoTime();
            Throwable late = failure(post(there, "1", Map.of()));
            assertTrue(String.valueOf(late), late instanceof IOException && late instanceof ProtocolException == false);
            long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin);
            assertTrue(millis + " ms", millis >= 400);
        } finally {
            for (SocketChannel channel : waiting) {
                channel.close();
            }
        }
    }

    public void testAnIpv6Address() throws Exception {
        server.close();
        server = new ServerSocket(0, 50, InetAddress.getByName("::1"));
        Thread.ofPlatform().daemon().name("http-server").start(this::accept);
        String host = "[::1]:" + server.getLocalPort();
        CompletableFuture<HttpReply> reply = post(URI.create("http://" + host + "/"), "1", Map.of());
        Socket socket = socket();
        assertTrue(asked(socket, 1).contains("Host: " + host + "\r\n"));
        say(socket, OK);
        assertEquals("ok", said(reply));
    }

    public void testAHostThatIsNotKnown() {
        assertTrue(failure(post(URI.create("http://nowhere.invalid/"), "1", Map.of())) instanceof UnknownHostException);
    }

    public void testAnAbortClosesTheConnectionAndNotifiesAtOnce() throws Exception {
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        Http.Exchange exchange = http.post(uri(), Map.of(), new byte[1], into(reply));
        Socket socket = socket();
        asked(socket, 1);
        exchange.abort();
        assertTrue(reply.isDone());
        assertTrue(failure(reply) instanceof CancellationException);
        assertEquals("the server sees the end", -1, socket.getInputStream().read());
        exchange.abort();
    }

    public void testAnAbortBeforeThereIsAConnection() throws Exception {
        List<Runnable> lookups = new ArrayList<>();
        http.close();
        http = new ReactorHttp(500, null, this::schedule, lookups::add);
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        http.post(uri(), Map.of(), new byte[1], into(reply)).abort();
        assertTrue(failure(reply) instanceof CancellationException);
        CompletableFuture<HttpReply> next = post("next", Map.of());
        assertEquals(2, lookups.size());
        lookups.forEach(Runnable::run);
        Socket socket = socket();
        assertTrue(asked(socket, 4).endsWith("next"));
        say(socket, OK);
        assertEquals("ok", said(next));
        assertNull("nothing of the one that was given up reaches the server", accepted.poll(100, TimeUnit.MILLISECONDS));
    }

    public void testAnAbortAfterTheResponseHasNoEffect() throws Exception {
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        Http.Exchange exchange = http.post(uri(), Map.of(), new byte[1], into(reply));
        Socket socket = socket();
        asked(socket, 1);
        say(socket, OK);
        assertEquals("ok", said(reply));
        CompletableFuture<HttpReply> next = post("2", Map.of());
        exchange.abort();
        assertTrue(asked(socket, 1).endsWith("2"));
        say(socket, OK);
        assertEquals("ok", said(next));
    }

    public void testClosingFailsRunningCalls() throws Exception {
        CompletableFuture<HttpReply> reply = post("1", Map.of());
        asked(socket(), 1);
        http.close();
        assertTrue(failure(reply) instanceof IOException);
        assertTrue(failure(post("1", Map.of())) instanceof IOException);
    }

    /** Tests that a connection made after its call was aborted is closed, so that canceled searches leave none behind. */
    public void testAConnectionOfAnAbortedCallIsClosed() {
        List<String> released = new ArrayList<>();
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        HttpCall call = new HttpCall(new BasicHttpRequest("POST", "/"), new byte[1], into(reply), ConcurrentHashMap.newKeySet());
        call.abort();
        call.completed(new AsyncClientEndpoint() {
            @Override
            public void execute(
                AsyncClientExchangeHandler handler,
                HandlerFactory<AsyncPushConsumer> pushes,
                HttpContext context
            ) {
                released.add("executed");
            }

            @Override
            public void releaseAndReuse() {
                released.add("kept");
            }

            @Override
            public void releaseAndDiscard() {
                released.add("closed");
            }

            @Override
            public boolean isConnected() {
                return true;
            }
        });
        assertEquals(List.of("closed"), released);
        assertTrue(failure(reply) instanceof CancellationException);
    }

    /** Tests the same with real connections, aborted at any moment of a call. */
    public void testConnectionsOfAbortedCallsAreClosed() throws Exception {
        for (int i = 0; i < 200; i++) {
            CompletableFuture<HttpReply> reply = new CompletableFuture<>();
            Http.Exchange exchange = http.post(uri(), Map.of(), new byte[1], into(reply));
            LockSupport.parkNanos(randomIntBetween(0, 1_000_000));
            exchange.abort();
            assertTrue(failure(reply) instanceof CancellationException);
        }
        assertBusy(() -> {
            assertEquals("kept", 0, http.idleConnections());
            for (Socket socket = accepted.poll(); socket != null; socket = accepted.poll()) {
                assertEnds(socket);
            }
        });
    }

    /** At whatever time the client is closed, calls fail as lost connections. */
    public void testCallsDuringClose() throws Exception {
        List<CompletableFuture<HttpReply>> all = new ArrayList<>();
        Thread closer = new Thread(http::close);
        for (int i = 0; i < 300; i++) {
            all.add(post("1", Map.of()));
            if (i == 100) {
                closer.start();
            }
        }
        closer.join();
        for (CompletableFuture<HttpReply> one : all) {
            Throwable failure = failure(one);
            assertTrue(String.valueOf(failure), failure instanceof IOException);
        }
    }

    /** With concurrent calls, some aborted, some disconnected, each listener is notified once and with its own response. */
    public void testManyAtOnce() throws Exception {
        http.close();
        // On a busy machine a connection takes longer than the 500 ms of the other tests.
        http = new ReactorHttp(30_000, null, this::schedule, executor);
        try (StubTriton triton = new StubTriton()) {
            triton.behave(asked -> asked.text().length() % 7 == 3
                ? new StubTriton.Behaviour.Cut()
                : new StubTriton.Behaviour.Status(200, asked.text()));
            EncoderModel model = new EncoderModel("m", "1", "EMBEDDING", "f1", 2);
            ExecutorService callers = Executors.newFixedThreadPool(8);
            try {
                List<CompletableFuture<Void>> all = new ArrayList<>();
                for (int i = 0; i < 8; i++) {
                    int from = i * 100;
                    all.add(CompletableFuture.runAsync(() -> {
                        for (int j = from; j < from + 100; j++) {
                            call(triton, model, "x".repeat(j), j % 11 == 0);
                        }
                    }, callers));
                }
                for (CompletableFuture<Void> one : all) {
                    one.get(60, TimeUnit.SECONDS);
                }
            } finally {
                callers.shutdown();
            }
        }
    }

    private void call(StubTriton triton, EncoderModel model, String text, boolean abort) {
        InferRequest request = InferRequest.of(model, EncoderInput.of(text, new byte[] { 1 }));
        Map<String, String> headers = Map.of(InferRequest.HEADER_LENGTH, Integer.toString(request.headerLength()));
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        Http.Exchange exchange = http.post(URI.create(triton.url() + "/"), headers, request.body(), into(reply));
        if (abort) {
            exchange.abort();
        }
        try {
            assertEquals(text, new String(reply.get(30, TimeUnit.SECONDS).body(), StandardCharsets.UTF_8));
            assertNotEquals(3, text.length() % 7);
        } catch (ExecutionException | CancellationException e) {
            assertTrue(e.toString(), abort || text.length() % 7 == 3);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private void accept() {
        while (server.isClosed() == false) {
            try {
                accepted.add(server.accept());
            } catch (IOException e) {
                // The test has ended.
                return;
            }
        }
    }

    private Socket socket() throws InterruptedException {
        Socket socket = accepted.poll(10, TimeUnit.SECONDS);
        assertNotNull("no connection came", socket);
        return socket;
    }

    /** Checks that the client closes or resets the connection within five seconds, after any data. */
    private static void assertEnds(Socket socket) throws IOException {
        socket.setSoTimeout(5_000);
        try {
            socket.getInputStream().readAllBytes();
        } catch (SocketException e) {
            assertTrue(e.toString(), e.getMessage().contains("reset"));
        }
    }

    /** Reads one complete request. */
    private static String asked(Socket socket, int bodyLength) throws IOException {
        InputStream in = socket.getInputStream();
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int next = in.read();
            assertTrue("the connection ended after " + head, next >= 0);
            head.append((char) next);
        }
        byte[] body = in.readNBytes(bodyLength);
        assertEquals(bodyLength, body.length);
        return head + new String(Arrays.copyOf(body, Math.min(bodyLength, 100)), StandardCharsets.ISO_8859_1);
    }

    private static void say(Socket socket, String text) throws IOException {
        OutputStream out = socket.getOutputStream();
        out.write(text.getBytes(StandardCharsets.ISO_8859_1));
        out.flush();
    }

    /** Like {@link #say}, but the client may close the connection before the end. */
    private void sayMost(Socket socket, String text) {
        try {
            say(socket, text);
        } catch (IOException e) {
            logger.info("the client left before the end", e);
        }
    }

    private URI uri() {
        return URI.create("http://127.0.0.1:" + server.getLocalPort() + "/a/b");
    }

    private CompletableFuture<HttpReply> post(String body, Map<String, String> headers) {
        return post(uri(), body, headers);
    }

    private CompletableFuture<HttpReply> post(URI uri, String body, Map<String, String> headers) {
        CompletableFuture<HttpReply> reply = new CompletableFuture<>();
        http.post(uri, headers, body.getBytes(StandardCharsets.ISO_8859_1), into(reply));
        return reply;
    }

    private static BiConsumer<HttpReply, Throwable> into(CompletableFuture<HttpReply> reply) {
        return (come, error) -> assertTrue(
            "told once",
            error == null ? reply.complete(come) : reply.completeExceptionally(error)
        );
    }

    private static String said(CompletableFuture<HttpReply> reply) throws Exception {
        return new String(reply.get(10, TimeUnit.SECONDS).body(), StandardCharsets.ISO_8859_1);
    }

    private static Throwable failure(CompletableFuture<HttpReply> reply) {
        try {
            reply.get(10, TimeUnit.SECONDS);
        } catch (CancellationException e) {
            return e;
        } catch (ExecutionException e) {
            return e.getCause();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        throw new AssertionError("expected a failure");
    }

    private Runnable schedule(long millis, Runnable task) {
        ScheduledFuture<?> due = scheduler.schedule(task, millis, TimeUnit.MILLISECONDS);
        return () -> due.cancel(false);
    }
}
