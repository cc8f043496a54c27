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
 * Calls Triton's infer over HTTP without ever holding a thread: picks the endpoint, repeats a call only where repeating
 * cannot do harm (lost connection, 429, 503), and tells each cause of failure apart.
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
     * @param headers sent with every call, for instance the token
     * @param executor runs what follows an answer
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

    /** Takes a changed list of servers over; calls under way go on as they began. */
    public void endpoints(List<URI> roots) {
        endpoints.update(roots);
    }

    /** Each server with its breaker at this moment. */
    public List<EncoderState.Endpoint> endpointStates() {
        return endpoints.states(options.get().breakerPauseMillis());
    }

    /**
     * Starts a call.
     *
     * @param done called once, on the executor: the vector, or the {@link EncoderException}; not called after {@link Call#abort}
     */
    public Call start(EncoderModel model, EncoderInput input, BiConsumer<float[], EncoderException> done) {
        Call call = new Call(model, InferRequest.of(model, input), done);
        call.attempt();
        return call;
    }

    /** One call with its repetitions. */
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
         * Aborts the call and closes its exchange.
         *
         * @param timedOut whether the endpoint had all the time that the settings give; only then its breaker counts it
         * @return false when the call had already ended
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
                // On another thread: a queue full of these would otherwise end one inside the other.
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
                // The one hop: off the client's selector, which must go on reading other answers.
                executor.execute(() -> answered.accept(endpoint, reply, error));
            });
            exchange = sent;
            if (ended.get()) {
                // The abort came before there was an exchange to close.
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
            // Full jitter: those who lost one server together do not come back together.
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

        /** Tries a server that has been left alone, with a copy of a call that a healthy one answers. */
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
            "the encoder cannot be reached: Triton failed " + now.breakerFailures() + " times in a row and is tried again in "
                + Math.max(0, wait) + " ms; start it, or correct " + EncoderSettings.ENDPOINTS.getKey()
        );
    }
}
