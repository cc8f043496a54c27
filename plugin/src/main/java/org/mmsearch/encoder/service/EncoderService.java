package org.mmsearch.encoder.service;

import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Executor;

import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.http.Http;
import org.mmsearch.encoder.http.ReactorHttp;
import org.mmsearch.encoder.http.Timer;
import org.mmsearch.encoder.triton.TritonTls;
import org.mmsearch.stats.EncoderStats;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.common.settings.SecureString;
import org.opensearch.threadpool.ExecutorBuilder;
import org.opensearch.threadpool.ScalingExecutorBuilder;
import org.opensearch.threadpool.Scheduler;
import org.opensearch.threadpool.ThreadPool;

/** Creates the {@link Encoder} of a node from its settings, applies dynamic changes, and closes it with the node. */
public final class EncoderService implements AutoCloseable {

    /** The thread pool on which searches continue when their vectors are available. */
    public static final String POOL = "mmsearch";

    private final Http http;
    private final Encoder encoder;

    /** @param config the node's config folder, which contains the certificates */
    public EncoderService(Settings settings, ClusterSettings dynamic, Path config, ThreadPool threads, EncoderStats stats) {
        Timer timer = (millis, task) -> {
            Scheduler.ScheduledCancellable due = threads.schedule(
                task,
                TimeValue.timeValueMillis(millis),
                ThreadPool.Names.SAME
            );
            return due::cancel;
        };
        Executor executor = threads.executor(POOL);
        http = new ReactorHttp(
            EncoderSettings.CONNECT_TIMEOUT.get(settings).millis(),
            TritonTls.context(settings, config),
            timer,
            executor
        );
        encoder = new Encoder(
            http,
            token(settings),
            EncoderSettings.options(settings),
            EncoderSettings.CACHE_SIZE.get(settings).getBytes(),
            timer,
            executor,
            stats
        );
        dynamic.addSettingsUpdateConsumer(
            changed -> encoder.options(EncoderSettings.options(changed)),
            EncoderSettings.dynamic()
        );
        dynamic.addSettingsUpdateConsumer(EncoderSettings.CACHE_SIZE, size -> encoder.cacheBytes(size.getBytes()));
    }

    /** Returns the encoder. */
    public Encoder encoder() {
        return encoder;
    }

    /** Returns the thread pool to register. */
    public static ExecutorBuilder<?> executor(Settings settings) {
        return new ScalingExecutorBuilder(POOL, 1, 4 + Runtime.getRuntime().availableProcessors(), TimeValue.timeValueMinutes(5));
    }

    @Override
    public void close() {
        http.close();
    }

    private static Map<String, String> token(Settings settings) {
        try (SecureString token = EncoderSettings.TOKEN.get(settings)) {
            String header = EncoderSettings.TOKEN_HEADER.get(settings);
            // Other characters would allow header injection.
            if (header.matches("[!#$%&'*+.^_`|~0-9A-Za-z-]+") == false) {
                throw new IllegalArgumentException(EncoderSettings.TOKEN_HEADER.getKey() + " must be an HTTP header name, got [" + header + "]");
            }
            if (token.chars().anyMatch(c -> c < ' ' || c > '~')) {
                throw new IllegalArgumentException(EncoderSettings.TOKEN.getKey() + " must be one line of printable ASCII, got other characters: remove them");
            }
            return token.length() == 0 ? Map.of() : Map.of(header, token.toString());
        }
    }
}
