package org.mmsearch.encoder;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;

/** One search that waits for a vector; it is told exactly once: the vector, a failure, or that it left. */
public final class Waiter {

    private final AtomicBoolean told = new AtomicBoolean();
    private final BiConsumer<float[], EncoderException> listener;
    private volatile Flight flight;
    private volatile Runnable stopTimer;

    Waiter(BiConsumer<float[], EncoderException> listener) {
        this.listener = listener;
    }

    /** The search was cancelled: it waits no longer, and the exchange is closed when no other search waits for it. */
    public void cancel() {
        if (told.get()) {
            return;
        }
        leave(new EncoderException(EncoderFailure.CANCELLED, "the search was cancelled while its query was encoded"), false);
    }

    void board(Flight flight) {
        this.flight = flight;
    }

    /** @param stopTimer takes the deadline away, once the search waits no longer */
    void deadline(Runnable stopTimer) {
        this.stopTimer = stopTimer;
        if (told.get()) {
            stopTimer.run();
        }
    }

    void leave(EncoderException why, boolean timedOut) {
        if (told.compareAndSet(false, true)) {
            // Off the flight before the search hears of it: its next try shall find no call that is being given up.
            Flight boarded = flight;
            if (boarded != null) {
                boarded.left(this, timedOut);
            }
            say(null, why);
        }
    }

    void tell(float[] vector, EncoderException failure) {
        if (told.compareAndSet(false, true)) {
            say(vector, failure);
        }
    }

    private void say(float[] vector, EncoderException failure) {
        Runnable stop = stopTimer;
        if (stop != null) {
            stop.run();
        }
        listener.accept(vector, failure);
    }
}
