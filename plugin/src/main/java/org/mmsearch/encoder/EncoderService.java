package org.mmsearch.encoder;

import java.net.http.HttpClient;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

import javax.net.ssl.SSLContext;

import org.mmsearch.stats.EncoderStats;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.common.settings.SecureString;
import org.opensearch.threadpool.ExecutorBuilder;
import org.opensearch.threadpool.ScalingExecutorBuilder;
import org.opensearch.threadpool.Scheduler;
import org.opensearch.threadpool.ThreadPool;

/** Opens the {@link Encoder} of a node by its settings, follows the dynamic ones, and closes it with the node. */
public final class EncoderService implements AutoCloseable {

    /** The thread pool on which searches go on when their vectors have come. */
    public static final String POOL = "mmsearch";

    private final HttpClient http;
    private final Encoder encoder;

    /** @param config the node's config folder, under which the certificates lie */
    public EncoderService(Settings settings, ClusterSettings dynamic, Path config, ThreadPool threads, EncoderStats stats) {
        HttpClient.Builder builder = HttpClient.newBuilder()
            // Triton speaks 1.1; asking for 2 would cost an upgrade header with every call.
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(Duration.ofMillis(EncoderSettings.CONNECT_TIMEOUT.get(settings).millis()))
            // Its own steps neither block nor take long, and each hop between threads costs more than they do: they run where
            // they are asked for, on the caller's thread and the client's selector. Answers go on in the pool.
            .executor(Runnable::run);
        SSLContext tls = TritonTls.context(settings, config);
        http = (tls == null ? builder : builder.sslContext(tls)).build();
        encoder = new Encoder(
            http,
            token(settings),
            EncoderSettings.options(settings),
            EncoderSettings.CACHE_SIZE.get(settings).getBytes(),
            (millis, task) -> {
                Scheduler.ScheduledCancellable due = threads.schedule(
                    task,
                    TimeValue.timeValueMillis(millis),
                    ThreadPool.Names.SAME
                );
                return due::cancel;
            },
            threads.executor(POOL),
            stats
        );
        dynamic.addSettingsUpdateConsumer(
            changed -> encoder.options(EncoderSettings.options(changed)),
            EncoderSettings.dynamic()
        );
        dynamic.addSettingsUpdateConsumer(EncoderSettings.CACHE_SIZE, size -> encoder.cacheBytes(size.getBytes()));
    }

    /** What the clauses ask. */
    public Encoder encoder() {
        return encoder;
    }

    /** The thread pool to be registered. */
    public static ExecutorBuilder<?> executor(Settings settings) {
        return new ScalingExecutorBuilder(POOL, 1, 4 + Runtime.getRuntime().availableProcessors(), TimeValue.timeValueMinutes(5));
    }

    @Override
    public void close() {
        http.shutdownNow();
    }

    private static Map<String, String> token(Settings settings) {
        try (SecureString token = EncoderSettings.TOKEN.get(settings)) {
            return token.length() == 0 ? Map.of() : Map.of(EncoderSettings.TOKEN_HEADER.get(settings), token.toString());
        }
    }
}
