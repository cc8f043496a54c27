package org.mmsearch.neural.vectors;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

import org.opensearch.core.action.ActionListener;

/** Waits, without a thread, for all the vectors of one query; the first failure ends it and cancels the others. */
final class GroupedVectorListener {

    private final float[][] vectors;
    private final AtomicInteger missing;
    private final AtomicBoolean completed = new AtomicBoolean();
    private final ActionListener<List<float[]>> listener;
    private final List<Runnable> onCompletion = new ArrayList<>();
    private boolean released;

    GroupedVectorListener(int count, ActionListener<List<float[]>> listener) {
        this.vectors = new float[count][];
        this.missing = new AtomicInteger(count);
        this.listener = listener;
    }

    /** Gives the vector of one part. */
    void onResponse(int part, float[] vector) {
        vectors[part] = vector;
        if (missing.decrementAndGet() == 0 && completed.compareAndSet(false, true)) {
            release();
            listener.onResponse(Arrays.asList(vectors));
        }
    }

    /** Ends the waiting for all parts. */
    void onFailure(Exception failure) {
        if (completed.compareAndSet(false, true)) {
            release();
            listener.onFailure(failure);
        }
    }

    /** @param action run at completion, to release what is still under way; at once when that has been */
    void onCompletion(Runnable action) {
        synchronized (onCompletion) {
            if (released == false) {
                onCompletion.add(action);
                return;
            }
        }
        action.run();
    }

    private void release() {
        List<Runnable> actions;
        synchronized (onCompletion) {
            released = true;
            actions = List.copyOf(onCompletion);
            onCompletion.clear();
        }
        actions.forEach(Runnable::run);
    }
}
