package org.mmsearch.encoder;

import java.util.ArrayList;
import java.util.List;

/** One encoding under way or queued, and all the searches that wait for it. */
final class Flight {

    final EncodeKey key;
    final EncoderModel model;
    final EncoderInput input;
    final long createdNanos;
    private final Encoder encoder;
    private final List<Waiter> waiters = new ArrayList<>(2);
    private TritonClient.Call call;
    private boolean over;
    private boolean abandoned;
    private boolean timedOut;

    Flight(Encoder encoder, EncodeKey key, EncoderModel model, EncoderInput input) {
        this.encoder = encoder;
        this.key = key;
        this.model = model;
        this.input = input;
        this.createdNanos = System.nanoTime();
    }

    /** @return false when the flight is over and the waiter needs another one */
    synchronized boolean join(Waiter waiter) {
        if (over) {
            return false;
        }
        waiters.add(waiter);
        return true;
    }

    /** Keeps the call, so that it can be aborted; does so at once when everyone has left meanwhile. */
    void started(TritonClient.Call call) {
        boolean abort;
        synchronized (this) {
            this.call = call;
            abort = abandoned;
        }
        if (abort && call.abort(timedOut)) {
            encoder.finished();
        }
    }

    /** @param late whether the waiter left because its deadline passed */
    void left(Waiter waiter, boolean late) {
        TritonClient.Call abort;
        synchronized (this) {
            waiters.remove(waiter);
            if (over || waiters.isEmpty() == false) {
                return;
            }
            over = true;
            abandoned = true;
            timedOut = late && encoder.hadAllTime(this);
            abort = call;
        }
        encoder.abandoned(this);
        // A call ends in one of two ways, by its answer or by an abort that came first: either frees its place.
        if (abort != null && abort.abort(timedOut)) {
            encoder.finished();
        }
    }

    /** Ends the flight; the ones who are still waiting, to be told. */
    synchronized List<Waiter> land() {
        over = true;
        List<Waiter> there = List.copyOf(waiters);
        waiters.clear();
        return there;
    }
}
