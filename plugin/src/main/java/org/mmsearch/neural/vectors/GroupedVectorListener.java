package org.mmsearch.neural.vectors;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

import org.opensearch.core.action.ActionListener;

/** Collects all vectors of one query without blocking a thread. The first failure fails the query and cancels the other parts. */
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

    /** Sets the vector of one part. */
    void onResponse(int part, float[] vector) {
        vectors[part] = vector;
        if (missing.decrementAndGet() == 0 && completed.compareAndSet(false, true)) {
            release();
            listener.onResponse(Arrays.asList(vectors));
        }
    }

    /** Fails the query. */
    void onFailure(Exception failure) {
        if (completed.compareAndSet(false, true)) {
            release();
            listener.onFailure(failure);
        }
    }

    /**
     * Adds an action that releases a running part.
     *
     * @param action called on completion, or at once if already completed
     */
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
