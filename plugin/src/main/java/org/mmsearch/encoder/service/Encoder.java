package org.mmsearch.encoder.service;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.EncoderState;
import org.mmsearch.encoder.TritonOptions;
import org.mmsearch.encoder.http.Http;
import org.mmsearch.encoder.http.Timer;
import org.mmsearch.encoder.triton.TritonClient;
import org.mmsearch.stats.EncoderStats;

/**
 * Encodes query inputs asynchronously. It caches recent vectors, joins equal concurrent queries into one call, limits running and queued
 * calls, and enforces each search's deadline.
 */
public final class Encoder {

    private final Timer timer;
    private final Executor executor;
    private final EncoderStats stats;
    private final VectorCache cache;
    private final TritonClient client;
    private final Map<EncodeKey, InFlightEncoding> encodings = new ConcurrentHashMap<>();
    private final Deque<InFlightEncoding> queue = new ArrayDeque<>();
    private int inFlight;
    private volatile TritonOptions options;

    /**
     * @param http the HTTP client
     * @param headers the headers of every call, such as the token
     * @param options the settings
     * @param cacheBytes the maximum heap of cached vectors in bytes; 0 disables the cache
     * @param timer schedules the deadlines
     * @param executor runs the continuations of searches
     * @param stats the statistics
     */
    public Encoder(
        Http http,
        Map<String, String> headers,
        TritonOptions options,
        long cacheBytes,
        Timer timer,
        Executor executor,
        EncoderStats stats
    ) {
        this.timer = timer;
        this.executor = executor;
        this.stats = stats;
        this.cache = new VectorCache(cacheBytes);
        this.client = new TritonClient(http, headers, () -> this.options, timer, executor, stats);
        options(options);
    }

    /** Applies changed settings. Running calls are not affected. */
    public void options(TritonOptions options) {
        this.options = options;
        client.endpoints(options.endpoints());
    }

    /** @param bytes the maximum heap of cached vectors; 0 clears and disables the cache */
    public void cacheBytes(long bytes) {
        cache.limit(bytes);
    }

    /** Returns the cached vector, float32 [dimension], or null. Must not be modified. */
    public float[] cached(EncoderModel model, EncoderInput input) {
        float[] vector = cache.get(EncodeKey.of(model, input));
        if (vector != null) {
            stats.cacheHit();
        }
        return vector;
    }

    /**
     * Encodes an input.
     *
     * @param budgetMillis the remaining time of the search in ms; the timeout setting limits it too
     * @param listener called exactly once, on any thread, with the vector (must not be modified) or the failure
     * @return the request, which can be cancelled
     */
    public EncodingRequest encode(
        EncoderModel model,
        EncoderInput input,
        long budgetMillis,
        BiConsumer<float[], EncoderException> listener
    ) {
        long begin = System.nanoTime();
        EncodingRequest request = new EncodingRequest((vector, failure) -> {
            stats.encode.record(System.nanoTime() - begin);
            if (failure != null) {
                stats.failed(failure.failure());
            }
            listener.accept(vector, failure);
        });
        EncodeKey key = EncodeKey.of(model, input);
        float[] known = cache.get(key);
        if (known != null) {
            stats.cacheHit();
            request.complete(known, null);
            return request;
        }
        stats.cacheMiss();
        join(key, model, input, request, Math.max(1, Math.min(budgetMillis, options.timeoutMillis())));
        return request;
    }

    /** Returns the current state of the endpoints, the cache and the queue. */
    public EncoderState state() {
        List<EncoderState.Endpoint> list = client.endpointStates();
        synchronized (queue) {
            return new EncoderState(
                list, inFlight, queue.size(), cache.entries(), cache.bytes(), cache.limit(), cache.evictions()
            );
        }
    }

    private void join(EncodeKey key, EncoderModel model, EncoderInput input, EncodingRequest request, long millis) {
        while (true) {
            InFlightEncoding encoding = encodings.get(key);
            if (encoding != null && encoding.add(request)) {
                stats.coalesced();
                attach(request, encoding, millis);
                return;
            }
            if (encoding != null) {
                encodings.remove(key, encoding);
            }
            InFlightEncoding own = new InFlightEncoding(this, key, model, input);
            own.add(request);
            if (encodings.putIfAbsent(key, own) == null) {
                attach(request, own, millis);
                // An encoding may have finished between the cache lookup and the registration of this one.
                float[] known = cache.get(key);
                if (known != null) {
                    complete(own, known, null);
                } else {
                    admit(own);
                }
                return;
            }
        }
    }

    private void attach(EncodingRequest request, InFlightEncoding encoding, long millis) {
        request.attach(encoding);
        request.deadline(timer.schedule(millis, () -> executor.execute(() -> request.withdraw(late(encoding, millis), true))));
    }

    private EncoderException late(InFlightEncoding encoding, long millis) {
        return new EncoderException(
            EncoderFailure.DEADLINE,
            "the encoder " + encoding.model.label() + " did not answer within " + millis + " ms; check Triton's load, or raise "
                + EncoderSettings.TIMEOUT.getKey() + " or the search's timeout"
        );
    }

    private void admit(InFlightEncoding encoding) {
        boolean start = false;
        boolean full = false;
        synchronized (queue) {
            if (inFlight < options.maxInFlight()) {
                inFlight++;
                start = true;
            } else if (queue.size() < options.queueSize()) {
                queue.add(encoding);
            } else {
                full = true;
            }
        }
        if (start) {
            start(encoding);
        } else if (full) {
            complete(encoding, null, new EncoderException(
                EncoderFailure.OVERLOADED,
                "the queue of the encoder is full (" + EncoderSettings.QUEUE_SIZE.getKey() + " [" + options.queueSize()
                    + "]); retry later, or add encoders"
            ));
        }
    }

    private void start(InFlightEncoding encoding) {
        stats.queue.record(System.nanoTime() - encoding.createdNanos);
        encoding.started(client.start(encoding.model, encoding.input, (vector, failure) -> {
            finished();
            complete(encoding, vector, failure);
        }));
    }

    /** Removes an encoding for which no request waits. The next equal request starts a new one. */
    void abandoned(InFlightEncoding encoding) {
        encodings.remove(encoding.key, encoding);
        synchronized (queue) {
            queue.remove(encoding);
        }
    }

    boolean hadAllTime(InFlightEncoding encoding) {
        return System.nanoTime() - encoding.createdNanos >= TimeUnit.MILLISECONDS.toNanos(options.timeoutMillis());
    }

    /** Called when a call has ended. Starts the next encoding in the queue. */
    void finished() {
        InFlightEncoding next = next();
        if (next != null) {
            // Start it on the executor: calls that fail at once would otherwise recurse once per queued encoding.
            executor.execute(() -> start(next));
        }
    }

    private InFlightEncoding next() {
        synchronized (queue) {
            inFlight--;
            InFlightEncoding next = inFlight < options.maxInFlight() ? queue.poll() : null;
            if (next != null) {
                inFlight++;
            }
            return next;
        }
    }

    private void complete(InFlightEncoding encoding, float[] vector, EncoderException failure) {
        if (vector != null) {
            cache.put(encoding.key, vector);
        }
        encodings.remove(encoding.key, encoding);
        List<EncodingRequest> waiting = encoding.complete();
        // Each search continues with its own work, so only the first one continues on this thread.
        for (int i = 1; i < waiting.size(); i++) {
            EncodingRequest request = waiting.get(i);
            executor.execute(() -> request.complete(vector, failure));
        }
        if (waiting.isEmpty() == false) {
            waiting.get(0).complete(vector, failure);
        }
    }
}
