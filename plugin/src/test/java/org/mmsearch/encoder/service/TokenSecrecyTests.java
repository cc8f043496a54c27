package org.mmsearch.encoder.service;

import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.mmsearch.stats.EncoderNumbers;
import org.mmsearch.stats.EncoderStats;
import org.opensearch.ExceptionsHelper;
import org.opensearch.common.logging.Loggers;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.MockSecureSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.test.OpenSearchTestCase;
import org.opensearch.threadpool.TestThreadPool;
import org.opensearch.threadpool.ThreadPool;

/** Tests that only Triton receives the token in the keystore: it is in no log of any level, no failure and no statistics. */
public class TokenSecrecyTests extends OpenSearchTestCase {

    private static final String SECRET = "Bearer planted-7f3a9c";
    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 2);

    /** All log messages with their stack traces. */
    private static final class Listening extends AbstractAppender {
        private final Queue<String> told = new ConcurrentLinkedQueue<>();

        Listening() {
            super("listening", null, null, true, Property.EMPTY_ARRAY);
        }

        @Override
        public void append(LogEvent event) {
            told.add(event.getMessage().getFormattedMessage());
            if (event.getThrown() != null) {
                told.add(ExceptionsHelper.stackTrace(event.getThrown()));
            }
        }
    }

    private final Listening log = new Listening();
    private ThreadPool threads;

    @Override
    public void setUp() throws Exception {
        super.setUp();
        threads = new TestThreadPool(getTestName(), EncoderService.executor(Settings.EMPTY));
        log.start();
        Loggers.addAppender(LogManager.getRootLogger(), log);
        Loggers.setLevel(LogManager.getLogger("org.mmsearch"), Level.ALL);
    }

    @Override
    public void tearDown() throws Exception {
        Loggers.setLevel(LogManager.getLogger("org.mmsearch"), (Level) null);
        Loggers.removeAppender(LogManager.getRootLogger(), log);
        log.stop();
        ThreadPool.terminate(threads, 10, TimeUnit.SECONDS);
        super.tearDown();
    }

    public void testOnlyTritonReceivesTheToken() throws Exception {
        List<Behaviour> behaviours = List.of(
            new Behaviour.Answer(asked -> StubTriton.vectorOf(asked.text())),
            new Behaviour.Answer(asked -> new float[] { Float.NaN, 1 }),
            new Behaviour.Status(400, "{\"error\": \"refused\"}"),
            new Behaviour.Status(401, "who are you"),
            new Behaviour.Status(403, ""),
            new Behaviour.Status(429, "later"),
            new Behaviour.Status(500, "broken"),
            new Behaviour.Status(503, "gone"),
            new Behaviour.Raw(new byte[] { 1, 2, 3, 13, 10, 13, 10 }),
            new Behaviour.Cut()
        );
        MockSecureSettings keystore = new MockSecureSettings();
        keystore.setString("mmsearch.triton.token", SECRET);
        EncoderStats stats = new EncoderStats();
        try (StubTriton triton = new StubTriton()) {
            Settings settings = Settings.builder()
                .setSecureSettings(keystore)
                .putList("mmsearch.triton.endpoints", triton.url())
                .put("mmsearch.triton.connect_timeout", "20s")
                .put("mmsearch.triton.timeout", "20s")
                .put("mmsearch.triton.breaker.failures", 1000)
                .build();
            ClusterSettings dynamic = new ClusterSettings(settings, new HashSet<>(EncoderSettings.all()));
            try (EncoderService service = new EncoderService(settings, dynamic, createTempDir(), threads, stats)) {
                int failures = 0;
                for (int i = 0; i < behaviours.size(); i++) {
                    triton.behave(behaviours.get(i));
                    failures += fails(service.encoder(), "chair " + i) ? 1 : 0;
                }
                assertEquals(behaviours.size() - 1, failures);
                assertHidden(EncoderNumbers.asMap(stats, service.encoder().state()).toString());
                assertHidden(service.encoder().state().toString());
            }
            assertFalse(triton.calls.isEmpty());
            triton.calls.forEach(call -> assertEquals(SECRET, call.headers().get("authorization")));
            assertHidden(settings.toString());
            assertHidden(EncoderSettings.options(settings).toString());
        }
        log.told.forEach(TokenSecrecyTests::assertHidden);
    }

    /** Tests that the appender receives logs below org.mmsearch. */
    public void testTheAppenderReceivesLogs() {
        LogManager.getLogger("org.mmsearch.encoder").trace("the token is {}", SECRET);
        assertTrue(log.told.stream().anyMatch(line -> line.contains(SECRET)));
    }

    private static boolean fails(Encoder encoder, String text) throws Exception {
        CompletableFuture<float[]> come = new CompletableFuture<>();
        encoder.encode(MODEL, EncoderInput.of(text, null), Long.MAX_VALUE, (vector, failure) -> {
            if (failure == null) {
                come.complete(vector);
            } else {
                come.completeExceptionally(failure);
            }
        });
        try {
            come.get(30, TimeUnit.SECONDS);
            return false;
        } catch (ExecutionException failed) {
            assertHidden(ExceptionsHelper.stackTrace(failed));
            return true;
        }
    }

    private static void assertHidden(String told) {
        assertFalse(told, told.contains("planted-7f3a9c"));
    }
}
