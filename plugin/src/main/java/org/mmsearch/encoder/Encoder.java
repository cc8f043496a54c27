package org.mmsearch.encoder;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

import org.mmsearch.stats.EncoderStats;

/**
 * Query inputs in, vectors out, and never a thread that waits: remembers recent vectors, lets equal concurrent queries
 * share one call, bounds what is under way and what queues, and ends every wait at its deadline.
 */
public final class Encoder {

    private final Timer timer;
    private final Executor executor;
    private final EncoderStats stats;
    private final VectorCache cache;
    private final TritonEndpoints endpoints = new TritonEndpoints(System::nanoTime);
    private final TritonClient client;
    private final Map<EncodeKey, Flight> flights = new ConcurrentHashMap<>();
    private final Deque<Flight> queue = new ArrayDeque<>();
    private int inFlight;
    private volatile TritonOptions options;

    /**
     * @param http the client
     * @param headers sent with every call, for instance the token
     * @param cacheBytes the most heap that remembered vectors take; 0 remembers none
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
        options(options);
        this.client = new TritonClient(http, headers, endpoints, () -> this.options, timer, executor, stats);
    }

    /** Takes changed settings over; calls under way go on as they began. */
    public void options(TritonOptions options) {
        this.options = options;
        endpoints.update(options.endpoints());
    }

    /** @param bytes the most heap that remembered vectors take; 0 forgets all */
    public void cacheBytes(long bytes) {
        cache.limit(bytes);
    }

    /** A remembered vector, float32 [dimension], not to be changed; or null. */
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
     * @param listener told exactly once, on any thread: the vector (not to be changed), or why there is none
     * @return lets the search leave
     */
    public Waiter encode(
        EncoderModel model,
        EncoderInput input,
        long budgetMillis,
        BiConsumer<float[], EncoderException> listener
    ) {
        long begin = System.nanoTime();
        Waiter waiter = new Waiter((vector, failure) -> {
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
            waiter.tell(known, null);
            return waiter;
        }
        stats.cacheMiss();
        join(key, model, input, waiter, Math.max(1, Math.min(budgetMillis, options.timeoutMillis())));
        return waiter;
    }

    /** What the stats tell of the endpoints, the cache and the queue at this moment. */
    public EncoderState state() {
        TritonOptions now = options;
        List<EncoderState.Endpoint> list = new ArrayList<>();
        for (TritonEndpoint endpoint : endpoints.all()) {
            list.add(
                new EncoderState.Endpoint(
                    endpoint.root.toString(),
                    endpoint.breaker.state(now.breakerPauseMillis()).label(),
                    endpoint.breaker.opened(),
                    endpoint.inFlight.get()
                )
            );
        }
        synchronized (queue) {
            return new EncoderState(
                list, inFlight, queue.size(), cache.entries(), cache.bytes(), cache.limit(), cache.evictions()
            );
        }
    }

    private void join(EncodeKey key, EncoderModel model, EncoderInput input, Waiter waiter, long millis) {
        while (true) {
            Flight flight = flights.get(key);
            if (flight != null && flight.join(waiter)) {
                stats.coalesced();
                board(waiter, flight, millis);
                return;
            }
            if (flight != null) {
                flights.remove(key, flight);
            }
            Flight own = new Flight(this, key, model, input);
            own.join(waiter);
            if (flights.putIfAbsent(key, own) == null) {
                board(waiter, own, millis);
                // A flight may have landed between the look into the cache and this one's take-off.
                float[] known = cache.get(key);
                if (known != null) {
                    land(own, known, null);
                } else {
                    admit(own);
                }
                return;
            }
        }
    }

    private void board(Waiter waiter, Flight flight, long millis) {
        waiter.board(flight);
        waiter.deadline(timer.schedule(millis, () -> executor.execute(() -> waiter.leave(late(flight, millis), true))));
    }

    private EncoderException late(Flight flight, long millis) {
        return new EncoderException(
            EncoderFailure.DEADLINE,
            "the encoder " + flight.model.label() + " did not answer within " + millis + " ms; look at Triton's load, or raise "
                + EncoderSettings.TIMEOUT.getKey() + " or the search's timeout"
        );
    }

    private void admit(Flight flight) {
        boolean start = false;
        boolean full = false;
        synchronized (queue) {
            if (inFlight < options.maxInFlight()) {
                inFlight++;
                start = true;
            } else if (queue.size() < options.queueSize()) {
                queue.add(flight);
            } else {
                full = true;
            }
        }
        if (start) {
            start(flight);
        } else if (full) {
            land(flight, null, new EncoderException(
                EncoderFailure.OVERLOADED,
                "more queries wait for the encoder than " + EncoderSettings.QUEUE_SIZE.getKey() + " [" + options.queueSize()
                    + "] allows; ask again later, or serve more encoders"
            ));
        }
    }

    private void start(Flight flight) {
        stats.queue.record(System.nanoTime() - flight.createdNanos);
        flight.started(client.start(flight.model, flight.input, (vector, failure) -> {
            finished();
            land(flight, vector, failure);
        }));
    }

    /** Everyone has left this flight: a newcomer needs another one. */
    void abandoned(Flight flight) {
        flights.remove(flight.key, flight);
        synchronized (queue) {
            queue.remove(flight);
        }
    }

    boolean hadAllTime(Flight flight) {
        return System.nanoTime() - flight.createdNanos >= TimeUnit.MILLISECONDS.toNanos(options.timeoutMillis());
    }

    /** A call has ended: its place goes to the next in the queue. */
    void finished() {
        Flight next = next();
        if (next != null) {
            // Not from here: calls that fail at once would otherwise end one inside the other, as many as queue.
            executor.execute(() -> start(next));
        }
    }

    private Flight next() {
        synchronized (queue) {
            inFlight--;
            Flight next = inFlight < options.maxInFlight() ? queue.poll() : null;
            if (next != null) {
                inFlight++;
            }
            return next;
        }
    }

    private void land(Flight flight, float[] vector, EncoderException failure) {
        if (vector != null) {
            cache.put(flight.key, vector);
        }
        flights.remove(flight.key, flight);
        List<Waiter> waiters = flight.land();
        // Each search goes on with its own work: only the first may do so on this thread.
        for (int i = 1; i < waiters.size(); i++) {
            Waiter waiter = waiters.get(i);
            executor.execute(() -> waiter.tell(vector, failure));
        }
        if (waiters.isEmpty() == false) {
            waiters.get(0).tell(vector, failure);
        }
    }
}
