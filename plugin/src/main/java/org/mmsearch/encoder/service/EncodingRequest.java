package org.mmsearch.encoder.service;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;

/** A request of one search for a vector. It completes exactly once: with the vector, a failure or a withdrawal. */
public final class EncodingRequest {

    private final AtomicBoolean completed = new AtomicBoolean();
    private final BiConsumer<float[], EncoderException> listener;
    private volatile InFlightEncoding encoding;
    private volatile Runnable cancelTimeout;

    EncodingRequest(BiConsumer<float[], EncoderException> listener) {
        this.listener = listener;
    }

    /** Withdraws the request of a cancelled search. The HTTP exchange is closed if no other search waits for it. */
    public void cancel() {
        if (completed.get()) {
            return;
        }
        withdraw(new EncoderException(EncoderFailure.CANCELLED, "the search was cancelled while its query was encoded"), false);
    }

    void attach(InFlightEncoding encoding) {
        this.encoding = encoding;
    }

    /** @param cancelTimeout cancels the deadline; called when the request completes */
    void deadline(Runnable cancelTimeout) {
        this.cancelTimeout = cancelTimeout;
        if (completed.get()) {
            cancelTimeout.run();
        }
    }

    void withdraw(EncoderException why, boolean timedOut) {
        if (completed.compareAndSet(false, true)) {
            // Detach before notifying the caller, so that an immediate retry does not join a call that is being aborted.
            InFlightEncoding attached = encoding;
            if (attached != null) {
                attached.remove(this, timedOut);
            }
            notifyListener(null, why);
        }
    }

    void complete(float[] vector, EncoderException failure) {
        if (completed.compareAndSet(false, true)) {
            notifyListener(vector, failure);
        }
    }

    private void notifyListener(float[] vector, EncoderException failure) {
        Runnable cancel = cancelTimeout;
        if (cancel != null) {
            cancel.run();
        }
        listener.accept(vector, failure);
    }
}
