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
 * Query inputs in, vectors out, and never a thread that waits: caches recent vectors, lets equal concurrent queries
 * share one call, bounds what is under way and what queues, and ends every wait at its deadline.
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
     * @param http the client
     * @param headers sent with every call, for instance the token
     * @param cacheBytes the most heap that cached vectors take; 0 caches none
     * @param timer ends the waits
     * @param executor goes on with the searches when their vectors have come
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

    /** Takes changed settings over; calls under way go on as they began. */
    public void options(TritonOptions options) {
        this.options = options;
        client.endpoints(options.endpoints());
    }

    /** @param bytes the most heap that cached vectors take; 0 empties the cache */
    public void cacheBytes(long bytes) {
        cache.limit(bytes);
    }

    /** A cached vector, float32 [dimension], not to be changed; or null. */
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
     * @param budgetMillis how long this search can wait; the setting's time-out bounds it too
     * @param listener called exactly once, on any thread: the vector (not to be changed), or why there is none
     * @return cancels the request
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

    /** The state of the endpoints, the cache and the queue at this moment. */
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
                // An encoding may have ended between the look into the cache and the entry of this one.
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
            "the encoder " + encoding.model.label() + " did not answer within " + millis + " ms; look at Triton's load, or raise "
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
                "more queries wait for the encoder than " + EncoderSettings.QUEUE_SIZE.getKey() + " [" + options.queueSize()
                    + "] allows; ask again later, or serve more encoders"
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

    /** No request waits for this encoding any more: the next equal one needs another. */
    void abandoned(InFlightEncoding encoding) {
        encodings.remove(encoding.key, encoding);
        synchronized (queue) {
            queue.remove(encoding);
        }
    }

    boolean hadAllTime(InFlightEncoding encoding) {
        return System.nanoTime() - encoding.createdNanos >= TimeUnit.MILLISECONDS.toNanos(options.timeoutMillis());
    }

    /** A call has ended: its place goes to the next in the queue. */
    void finished() {
        InFlightEncoding next = next();
        if (next != null) {
            // Not from here: calls that fail at once would otherwise end one inside the other, as many as queue.
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
        // Each search goes on with its own work: only the first may do so on this thread.
        for (int i = 1; i < waiting.size(); i++) {
            EncodingRequest request = waiting.get(i);
            executor.execute(() -> request.complete(vector, failure));
        }
        if (waiting.isEmpty() == false) {
            waiting.get(0).complete(vector, failure);
        }
    }
}
