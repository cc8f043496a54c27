package org.mmsearch.encoder.http;

/** Schedules tasks: with the node's scheduler, or with a manual one in tests. */
@FunctionalInterface
public interface Timer {

    /**
     * Schedules a task.
     *
     * @param millis the delay in milliseconds
     * @param task the task, which must not block
     * @return cancels the task if it has not started
     */
    Runnable schedule(long millis, Runnable task);
}
