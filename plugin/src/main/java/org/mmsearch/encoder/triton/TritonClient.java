package org.mmsearch.encoder.triton;

import java.net.URI;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.EncoderState;
import org.mmsearch.encoder.TritonOptions;
import org.mmsearch.encoder.http.Http;
import org.mmsearch.encoder.http.HttpReply;
import org.mmsearch.encoder.http.Timer;
import org.mmsearch.stats.EncoderStats;

/**
 * A non-blocking client of Triton's infer API over HTTP. It balances calls over the endpoints, retries a call only if that is safe (lost
 * connection, 429, 503), and reports each failure with its cause.
 */
public final class TritonClient {

    private static final long FIRST_BACKOFF_MILLIS = 5;

    private final Http http;
    private final Map<String, String> headers;
    private final TritonEndpoints endpoints = new TritonEndpoints(System::nanoTime);
    private final Supplier<TritonOptions> options;
    private final Timer timer;
    private final Executor executor;
    private final EncoderStats stats;

    /**
     * Creates a client without endpoints.
     *
     * @param http sends the requests
     * @param headers headers of every request, such as the token
     * @param options supplies the current settings
     * @param timer schedules retries and timeouts
     * @param executor runs the parsing of responses and the listeners
     * @param stats counts calls and retries
     */
    public TritonClient(
        Http http,
        Map<String, String> headers,
        Supplier<TritonOptions> options,
        Timer timer,
        Executor executor,
        EncoderStats stats
    ) {
        this.http = http;
        this.headers = Map.copyOf(headers);
        this.options = options;
        this.timer = timer;
        this.executor = executor;
        this.stats = stats;
    }

    /** Replaces the list of endpoints. Calls in flight are not affected. */
    public void endpoints(List<URI> roots) {
        endpoints.update(roots);
    }

    /** Returns the current state of each endpoint. */
    public List<EncoderState.Endpoint> endpointStates() {
        return endpoints.states(options.get().breakerPauseMillis());
    }

    /**
     * Starts a call.
     *
     * @param model the model to call
     * @param input the text and the image to encode
     * @param done notified once, on the executor, with the vector or the {@link EncoderException}; not notified after {@link Call#abort}
     * @return the call in flight
     */
    public Call start(EncoderModel model, EncoderInput input, BiConsumer<float[], EncoderException> done) {
        Call call = new Call(model, InferRequest.of(model, input), done);
        call.attempt();
        return call;
    }

    /** A call with its retries. */
    public final class Call {
        private final EncoderModel model;
        private final InferRequest request;
        private final BiConsumer<float[], EncoderException> done;
        private final Set<TritonEndpoint> tried = new HashSet<>();
        private final AtomicBoolean ended = new AtomicBoolean();
        private volatile boolean timedOut;
        private volatile Http.Exchange exchange;
        private int retries;

        private Call(EncoderModel model, InferRequest request, BiConsumer<float[], EncoderException> done) {
            this.model = model;
            this.request = request;
            this.done = done;
        }

        /**
         * Aborts the call and closes its connection.
         *
         * @param timedOut whether the call reached its timeout. Only then the breaker of the endpoint counts a failure
         * @return false if the call had already ended
         */
        public boolean abort(boolean timedOut) {
            this.timedOut = timedOut;
            if (ended.compareAndSet(false, true) == false) {
                return false;
            }
            Http.Exchange carries = exchange;
            if (carries != null) {
                carries.abort();
            }
            return true;
        }

        private void attempt() {
            TritonOptions now = options.get();
            TritonEndpoint endpoint = endpoints.pick(tried, now.breakerPauseMillis());
            if (endpoint == null) {
                // Fail on another thread. Otherwise, queued calls that all fail here would nest and overflow the stack.
                EncoderException open = breakersOpen(now);
                executor.execute(() -> end(null, open));
                return;
            }
            tried.add(endpoint);
            send(endpoint, this::answered);
            for (TritonEndpoint due : endpoints.probes(endpoint, now.breakerPauseMillis())) {
                probe(due, now);
            }
        }

        private void send(TritonEndpoint endpoint, Answered answered) {
            endpoint.inFlight.incrementAndGet();
            stats.called();
            long begin = System.nanoTime();
            Http.Exchange sent = http.post(endpoint.resolve(model.path()), headers(), request.body(), (reply, error) -> {
                endpoint.inFlight.decrementAndGet();
                stats.call.record(System.nanoTime() - begin);
                // Leave the I/O thread, which must continue to read other responses.
                executor.execute(() -> answered.accept(endpoint, reply, error));
            });
            exchange = sent;
            if (ended.get()) {
                // The call was aborted before the exchange existed.
                sent.abort();
            }
        }

        private Map<String, String> headers() {
            Map<String, String> all = new HashMap<>(headers);
            all.put("Content-Type", "application/octet-stream");
            all.put(InferRequest.HEADER_LENGTH, Integer.toString(request.headerLength()));
            return all;
        }

        private void answered(TritonEndpoint endpoint, HttpReply reply, Throwable error) {
            TritonOptions now = options.get();
            if (ended.get()) {
                if (timedOut) {
                    endpoint.breaker.failed(now.breakerFailures());
                } else {
                    endpoint.breaker.undecided();
                }
                return;
            }
            float[] vector = null;
            EncoderException failure = null;
            try {
                vector = read(endpoint, reply, error);
            } catch (EncoderException e) {
                failure = e;
                endpoint.failed(error == null ? e.getMessage() : TritonFailure.words(error));
            }
            verdict(endpoint, failure, now);
            if (failure != null && repeatable(reply, error) && retries < now.retries()) {
                retries++;
                stats.retried();
                repeat(now);
            } else {
                end(vector, failure);
            }
        }

        private void repeat(TritonOptions now) {
            boolean another = endpoints.all().stream().anyMatch(e -> tried.contains(e) == false);
            if (another) {
                attempt();
                return;
            }
            // Full jitter, so that calls that failed at the same time do not retry at the same time.
            long most = FIRST_BACKOFF_MILLIS << Math.min(retries, 6);
            timer.schedule(1 + ThreadLocalRandom.current().nextLong(most), () -> executor.execute(() -> {
                if (ended.get() == false) {
                    attempt();
                }
            }));
        }

        private void end(float[] vector, EncoderException failure) {
            if (ended.compareAndSet(false, true)) {
                done.accept(vector, failure);
            }
        }

        /** Sends a copy of this call to an endpoint whose breaker is half open. The call itself goes to a healthy endpoint. */
        private void probe(TritonEndpoint endpoint, TritonOptions now) {
            Call copy = new Call(model, request, (vector, failure) -> {});
            Runnable stop = timer.schedule(now.timeoutMillis(), () -> copy.abort(true));
            copy.send(endpoint, (there, reply, error) -> {
                stop.run();
                copy.retries = Integer.MAX_VALUE;
                copy.answered(there, reply, error);
            });
        }

        private float[] read(TritonEndpoint endpoint, HttpReply reply, Throwable error) {
            if (error != null) {
                throw TritonFailure.of(model, error);
            }
            if (reply.status() != 200) {
                throw TritonFailure.of(model, reply);
            }
            return InferReply.vector(model, reply.body(), reply.header(InferRequest.HEADER_LENGTH));
        }
    }

    @FunctionalInterface
    private interface Answered {
        void accept(TritonEndpoint endpoint, HttpReply reply, Throwable error);
    }

    private static void verdict(TritonEndpoint endpoint, EncoderException failure, TritonOptions now) {
        EncoderFailure cause = failure == null ? null : failure.failure();
        if (cause == EncoderFailure.UNREACHABLE || cause == EncoderFailure.BAD_ANSWER) {
            endpoint.breaker.failed(now.breakerFailures());
        } else if (cause == EncoderFailure.OVERLOADED) {
            endpoint.breaker.undecided();
        } else {
            endpoint.breaker.succeeded();
        }
    }

    private static boolean repeatable(HttpReply reply, Throwable error) {
        if (reply != null) {
            return reply.status() == 429 || reply.status() == 503;
        }
        return TritonFailure.lostConnection(error);
    }

    private EncoderException breakersOpen(TritonOptions now) {
        long wait = Long.MAX_VALUE;
        for (TritonEndpoint endpoint : endpoints.all()) {
            wait = Math.min(wait, endpoint.breaker.waitMillis(now.breakerPauseMillis()));
        }
        return new EncoderException(
            EncoderFailure.UNREACHABLE,
            "the encoder cannot be reached: Triton failed " + now.breakerFailures() + " times in a row, and the next attempt is in "
                + Math.max(0, wait) + " ms; start Triton, or correct " + EncoderSettings.ENDPOINTS.getKey()
        );
    }
}
