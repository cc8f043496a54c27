package org.mmsearch.encoder.service;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.TritonOptions;
import org.mmsearch.encoder.http.Http;
import org.mmsearch.encoder.http.ReactorHttp;
import org.mmsearch.encoder.http.Timer;
import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.mmsearch.stats.EncoderStats;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.test.OpenSearchTestCase;

/** Tests the client, shared calls, circuit breaker and limits, against a fake Triton server with faults on request. */
public class EncoderTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 2);

    private final EncoderStats stats = new EncoderStats();
    private ExecutorService executor;
    private ScheduledExecutorService scheduler;
    private Http http;
    private StubTriton triton;

    @Override
    public void setUp() throws Exception {
        super.setUp();
        executor = Executors.newFixedThreadPool(4);
        scheduler = Executors.newSingleThreadScheduledExecutor();
        http = new ReactorHttp(500, null, timer(), executor);
        triton = new StubTriton();
    }

    @Override
    public void tearDown() throws Exception {
        triton.close();
        http.close();
        scheduler.shutdownNow();
        executor.shutdown();
        assertTrue(executor.awaitTermination(5, TimeUnit.SECONDS));
        super.tearDown();
    }

    public void testRequestAtTheWire() throws Exception {
        Encoder encoder = encoder(options(triton.url()), 0);
        byte[] image = { 1, 2, 3 };
        assertArrayEquals(StubTriton.vectorOf("stuhl für 2"), get(encoder, EncoderInput.of("stuhl für 2", image)), 0f);
        StubTriton.Asked asked = triton.calls.get(0);
        assertEquals("/v2/models/query_encoder/versions/1/infer", asked.path());
        assertEquals("stuhl für 2", asked.text());
        assertArrayEquals(image, asked.image());
        assertEquals("secret", asked.headers().get("authorization"));
        List<?> inputs = (List<?>) asked.header().get("inputs");
        assertEquals(Map.of("name", "TEXT", "datatype", "BYTES", "shape", List.of(1, 1), "parameters", Map.of("binary_data_size", 16)), inputs.get(0));
        assertEquals("IMAGE", ((Map<?, ?>) inputs.get(1)).get("name"));
        assertEquals(
            List.of(
                Map.of("name", "EMBEDDING", "parameters", Map.of("binary_data", true)),
                Map.of("name", "FINGERPRINT", "parameters", Map.of("binary_data", true))
            ),
            asked.header().get("outputs")
        );
    }

    public void testFiftyEqualQueriesAreOneCall() throws Exception {
        Encoder encoder = encoder(options(triton.url()), 1 << 20);
        for (int i = 0; i < 50; i++) {
            get(encoder, EncoderInput.of("chair", null));
        }
        assertEquals(1, triton.calls.size());
        assertEquals(49, stats.cacheHits());
    }

    public void testFiftyEqualConcurrentQueriesAreOneCallWithoutACache() throws Exception {
        CountDownLatch latch = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(latch, new Behaviour.Answer(asked -> StubTriton.vectorOf(asked.text()))));
        Encoder encoder = encoder(options(triton.url()), 0);
        List<CompletableFuture<float[]>> all = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            all.add(start(encoder, "chair", 10_000).vector);
        }
        latch.countDown();
        for (CompletableFuture<float[]> one : all) {
            assertArrayEquals(StubTriton.vectorOf("chair"), one.get(10, TimeUnit.SECONDS), 0f);
        }
        assertEquals(1, triton.calls.size());
        assertEquals(49, stats.coalescedCount());
    }

    public void testNoServer() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Encoder encoder = encoder(options("http://127.0.0.1:" + port), 0);
        EncoderException e = failure(encoder, "a");
        assertEquals(EncoderFailure.UNREACHABLE, e.failure());
        assertEquals(RestStatus.SERVICE_UNAVAILABLE, e.status());
        assertTrue(e.getMessage(), e.getMessage().contains("no connection; start Triton"));
        assertTrue(encoder.state().endpoints().get(0).lastFailure().contains("ConnectException"));
        // 1 call and 2 repetitions each: the second query's second call is the fifth failure.
        failure(encoder, "a");
        assertEquals("open", encoder.state().endpoints().get(0).breaker());
        long calls = stats.calls();
        EncoderException open = failure(encoder, "a");
        assertEquals(EncoderFailure.UNREACHABLE, open.failure());
        assertTrue(open.getMessage(), open.getMessage().contains("5 times in a row"));
        assertEquals("an open breaker lets nothing through", calls, stats.calls());
    }

    public void testTheBreakerHeals() throws Exception {
        triton.close();
        TritonOptions options = new TritonOptions(List.of(URI.create(triton.url())), 2000, 0, 64, 256, 5, 50);
        Encoder encoder = encoder(options, 0);
        for (int i = 0; i < 5; i++) {
            failure(encoder, "a");
        }
        assertEquals("open", encoder.state().endpoints().get(0).breaker());
        triton = new StubTriton(triton.port());
        assertBusy(() -> assertArrayEquals(StubTriton.vectorOf("a"), get(encoder, EncoderInput.of("a", null)), 0f), 3, TimeUnit.SECONDS);
        assertEquals("closed", encoder.state().endpoints().get(0).breaker());
    }

    public void testALostConnectionIsRepeated() throws Exception {
        AtomicInteger calls = new AtomicInteger();
        triton.behave(asked -> calls.incrementAndGet() == 1 ? new Behaviour.Cut() : new Behaviour.Answer(a -> StubTriton.vectorOf(a.text())));
        assertArrayEquals(StubTriton.vectorOf("a"), get(encoder(options(triton.url()), 0), EncoderInput.of("a", null)), 0f);
        assertEquals(1, stats.retries());
    }

    public void testBusyAnswersAreRepeated() throws Exception {
        AtomicInteger calls = new AtomicInteger();
        triton.behave(asked -> switch (calls.incrementAndGet()) {
            case 1 -> new Behaviour.Status(429, "{\"error\":\"full\"}");
            case 2 -> new Behaviour.Status(503, "{\"error\":\"loading\"}");
            default -> new Behaviour.Answer(a -> StubTriton.vectorOf(a.text()));
        });
        assertArrayEquals(StubTriton.vectorOf("a"), get(encoder(options(triton.url()), 0), EncoderInput.of("a", null)), 0f);
        assertEquals(2, stats.retries());
    }

    public void testStatusesAreDistinguished() throws Exception {
        Encoder encoder = encoder(options(triton.url()), 0);
        Map<Integer, EncoderFailure> causes = Map.of(
            400, EncoderFailure.INPUT,
            404, EncoderFailure.MODEL_MISSING,
            429, EncoderFailure.OVERLOADED,
            500, EncoderFailure.BAD_ANSWER,
            503, EncoderFailure.UNREACHABLE
        );
        causes.forEach((status, cause) -> {
            triton.behave(new Behaviour.Status(status, "{\"error\":\"it says why\"}"));
            EncoderException e = failure(encoder, "a");
            assertEquals(cause, e.failure());
            assertTrue(e.getMessage(), e.getMessage().contains("it says why"));
            triton.behave(new Behaviour.Answer(asked -> StubTriton.vectorOf("b")));
            get(encoder, EncoderInput.of("b", null));
        });
        assertEquals(RestStatus.TOO_MANY_REQUESTS, EncoderFailure.OVERLOADED.status());
        assertEquals(RestStatus.BAD_GATEWAY, EncoderFailure.BAD_ANSWER.status());
        assertEquals(RestStatus.BAD_REQUEST, EncoderFailure.INPUT.status());
    }

    public void testOnlyLostConnectionsAndBusyAnswersAreRepeated() {
        Encoder encoder = encoder(options(triton.url()), 0);
        for (Behaviour bad : List.of(
            new Behaviour.Status(500, "broken"),
            new Behaviour.Raw("no such protocol\r\n\r\n".getBytes(StandardCharsets.US_ASCII)),
            new Behaviour.Answer(asked -> new float[] { 1, 2, 3 }),
            new Behaviour.Answer(asked -> new float[] { Float.NaN, 1 }),
            new Behaviour.Status(200, "x".repeat(2 << 20))
        )) {
            triton.calls.clear();
            triton.behave(bad);
            assertEquals(bad.toString(), EncoderFailure.BAD_ANSWER, failure(encoder, "a").failure());
            assertEquals(1, triton.calls.size());
            triton.behave(new Behaviour.Answer(asked -> StubTriton.vectorOf("b")));
            get(encoder, EncoderInput.of("b", null));
        }
        assertEquals(0, stats.retries());
    }

    public void testTheDeadlineEndsTheWaitAndTheExchange() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(never, new Behaviour.Cut()));
        Encoder encoder = encoder(new TritonOptions(List.of(URI.create(triton.url())), 100, 2, 64, 256, 5, 1000), 0);
        long begin = System.nanoTime();
        EncoderException e = failure(encoder, "a");
        assertEquals(EncoderFailure.DEADLINE, e.failure());
        assertEquals(RestStatus.GATEWAY_TIMEOUT, e.status());
        assertTrue(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin) >= 100);
        assertBusy(() -> assertEquals(0, encoder.state().inFlight()), 2, TimeUnit.SECONDS);
        for (int i = 0; i < 4; i++) {
            failure(encoder, "a");
        }
        assertBusy(() -> assertEquals("open", encoder.state().endpoints().get(0).breaker()), 2, TimeUnit.SECONDS);
        never.countDown();
    }

    public void testAShortSearchSaysNothingAboutTheEncoder() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(never, new Behaviour.Cut()));
        Encoder encoder = encoder(options(triton.url()), 0);
        for (int i = 0; i < 6; i++) {
            Started started = start(encoder, "a", 5);
            ExecutionException e = expectThrows(ExecutionException.class, () -> started.vector.get(5, TimeUnit.SECONDS));
            assertEquals(EncoderFailure.DEADLINE, ((EncoderException) e.getCause()).failure());
        }
        assertEquals("closed", encoder.state().endpoints().get(0).breaker());
        never.countDown();
    }

    public void testTheLastWaiterToLeaveClosesTheExchange() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(never, new Behaviour.Cut()));
        Encoder encoder = encoder(options(triton.url()), 0);
        Started one = start(encoder, "a", 10_000);
        Started two = start(encoder, "a", 10_000);
        assertBusy(() -> assertEquals(1, triton.calls.size()));
        one.waiter.cancel();
        assertEquals(1, encoder.state().inFlight());
        two.waiter.cancel();
        assertEquals(0, encoder.state().inFlight());
        assertEquals(0, encoder.state().endpoints().get(0).inFlight());
        for (Started started : List.of(one, two)) {
            ExecutionException e = expectThrows(ExecutionException.class, () -> started.vector.get(5, TimeUnit.SECONDS));
            assertEquals(EncoderFailure.CANCELLED, ((EncoderException) e.getCause()).failure());
        }
        never.countDown();
    }

    public void testMoreThanTheQueueHoldsIsRefusedAtOnce() throws Exception {
        CountDownLatch latch = new CountDownLatch(1);
        triton.behave(new Behaviour.Held(latch, new Behaviour.Answer(asked -> StubTriton.vectorOf(asked.text()))));
        Encoder encoder = encoder(new TritonOptions(List.of(URI.create(triton.url())), 10_000, 2, 2, 3, 5, 1000), 0);
        List<Started> taken = new ArrayList<>();
        for (String text : List.of("a", "ab", "abc", "abcd", "abcde")) {
            taken.add(start(encoder, text, 10_000));
        }
        assertEquals(2, encoder.state().inFlight());
        assertEquals(3, encoder.state().queued());
        EncoderException e = failure(encoder, "another");
        assertEquals(EncoderFailure.OVERLOADED, e.failure());
        taken.get(4).waiter.cancel();
        assertEquals(2, encoder.state().queued());
        latch.countDown();
        for (int i = 0; i < 4; i++) {
            assertArrayEquals(StubTriton.vectorOf("x".repeat(i + 1)), taken.get(i).vector.get(10, TimeUnit.SECONDS), 0f);
        }
        assertBusy(() -> assertEquals(0, encoder.state().inFlight()));
        assertEquals(4, triton.calls.size());
    }

    public void testAnotherEndpointTakesOver() throws Exception {
        try (StubTriton second = new StubTriton()) {
            triton.close();
            Encoder encoder = encoder(options(triton.url(), second.url()), 0);
            for (int i = 0; i < 20; i++) {
                assertArrayEquals(StubTriton.vectorOf("x".repeat(i + 1)), get(encoder, EncoderInput.of("x".repeat(i + 1), null)), 0f);
            }
            assertEquals(20, second.calls.size());
            assertEquals("open", encoder.state().endpoints().get(0).breaker());
        }
    }

    public void testADeadEndpointIsProbedBesideAHealthyOne() throws Exception {
        try (StubTriton second = new StubTriton()) {
            triton.close();
            Encoder encoder = encoder(
                new TritonOptions(List.of(URI.create(triton.url()), URI.create(second.url())), 2000, 2, 64, 256, 2, 50), 0
            );
            for (int i = 0; i < 10; i++) {
                get(encoder, EncoderInput.of("a", null));
            }
            assertNotEquals("closed", encoder.state().endpoints().get(0).breaker());
            triton = new StubTriton(triton.port());
            assertBusy(() -> {
                get(encoder, EncoderInput.of("a", null));
                assertEquals("closed", encoder.state().endpoints().get(0).breaker());
            }, 3, TimeUnit.SECONDS);
        }
    }

    public void testCallsGoRound() throws Exception {
        try (StubTriton second = new StubTriton()) {
            Encoder encoder = encoder(options(triton.url(), second.url()), 0);
            for (int i = 0; i < 10; i++) {
                get(encoder, EncoderInput.of("a", null));
            }
            assertEquals(5, triton.calls.size());
            assertEquals(5, second.calls.size());
        }
    }

    private record Started(EncodingRequest waiter, CompletableFuture<float[]> vector) {}

    private static Started start(Encoder encoder, String text, long millis) {
        CompletableFuture<float[]> vector = new CompletableFuture<>();
        EncodingRequest waiter = encoder.encode(MODEL, EncoderInput.of(text, null), millis, (come, failure) -> {
            if (failure == null) {
                vector.complete(come);
            } else {
                vector.completeExceptionally(failure);
            }
        });
        return new Started(waiter, vector);
    }

    private static float[] get(Encoder encoder, EncoderInput input) {
        CompletableFuture<float[]> vector = new CompletableFuture<>();
        encoder.encode(MODEL, input, 10_000, (come, failure) -> {
            if (failure == null) {
                vector.complete(come);
            } else {
                vector.completeExceptionally(failure);
            }
        });
        try {
            return vector.get(10, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static EncoderException failure(Encoder encoder, String text) {
        Started started = start(encoder, text, 10_000);
        ExecutionException e = expectThrows(ExecutionException.class, () -> started.vector.get(10, TimeUnit.SECONDS));
        return (EncoderException) e.getCause();
    }

    private static TritonOptions options(String... urls) {
        return new TritonOptions(List.of(urls).stream().map(URI::create).toList(), 2000, 2, 64, 256, 5, 1000);
    }

    private Encoder encoder(TritonOptions options, long cacheBytes) {
        return new Encoder(http, Map.of("Authorization", "secret"), options, cacheBytes, timer(), executor, stats);
    }

    private Timer timer() {
        return (millis, task) -> {
            ScheduledFuture<?> due = scheduler.schedule(task, millis, TimeUnit.MILLISECONDS);
            return () -> due.cancel(false);
        };
    }
}
