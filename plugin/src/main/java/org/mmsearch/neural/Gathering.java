package org.mmsearch.neural;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

import org.opensearch.core.action.ActionListener;

/** Waits, without a thread, for all the vectors of one query; the first failure ends it and lets go of the others. */
final class Gathering {

    private final float[][] vectors;
    private final AtomicInteger missing;
    private final AtomicBoolean told = new AtomicBoolean();
    private final ActionListener<List<float[]>> listener;
    private final List<Runnable> letGo = new ArrayList<>();
    private boolean over;

    Gathering(int count, ActionListener<List<float[]>> listener) {
        this.vectors = new float[count][];
        this.missing = new AtomicInteger(count);
        this.listener = listener;
    }

    /** Gives the vector of one part. */
    void came(int part, float[] vector) {
        vectors[part] = vector;
        if (missing.decrementAndGet() == 0 && told.compareAndSet(false, true)) {
            release();
            listener.onResponse(Arrays.asList(vectors));
        }
    }

    /** Ends the gathering for everyone. */
    void failed(Exception failure) {
        if (told.compareAndSet(false, true)) {
            release();
            listener.onFailure(failure);
        }
    }

    /** @param action run when the gathering is over, to let go of what is still under way; at once when it already is */
    void whenOver(Runnable action) {
        synchronized (letGo) {
            if (over == false) {
                letGo.add(action);
                return;
            }
        }
        action.run();
    }

    private void release() {
        List<Runnable> actions;
        synchronized (letGo) {
            over = true;
            actions = List.copyOf(letGo);
            letGo.clear();
        }
        actions.forEach(Runnable::run);
    }
}
