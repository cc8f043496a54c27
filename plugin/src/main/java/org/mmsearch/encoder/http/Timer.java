package org.mmsearch.encoder.http;

/** Runs something later, without a thread that waits: the node's scheduler, or one of a test. */
@FunctionalInterface
public interface Timer {

    /**
     * @param millis the delay
     * @param task what is run then; it must not block
     * @return cancels the task when it has not run yet
     */
    Runnable schedule(long millis, Runnable task);
}
