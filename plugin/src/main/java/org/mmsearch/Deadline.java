package org.mmsearch;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

import org.opensearch.common.unit.TimeValue;
import org.opensearch.search.SearchService;

/** The end of a search's timeout, counted from the arrival of the search. All work for the search shares the time that is left. */
public final class Deadline {

    /** The deadline of a search without a timeout. */
    public static final Deadline NONE = new Deadline(null, System::nanoTime);

    /** The least time of a shard search (or the whole timeout, if shorter), so that hits found before are returned. */
    private static final TimeValue LEAST = TimeValue.timeValueMillis(50);

    private final TimeValue timeout;
    private final LongSupplier nanos;
    private final long begin;
    private volatile boolean shared;

    /**
     * @param timeout the search's timeout; null or {@link SearchService#NO_TIMEOUT} for none
     * @param nanos the clock
     */
    public Deadline(TimeValue timeout, LongSupplier nanos) {
        this.timeout = timeout;
        this.nanos = nanos;
        begin = nanos.getAsLong();
    }

    /** Returns whether the search has a timeout. */
    public boolean exists() {
        return timeout != null && SearchService.NO_TIMEOUT.equals(timeout) == false;
    }

    /** Returns the timeout for a shard search that starts now; null or {@link SearchService#NO_TIMEOUT} for none. */
    public TimeValue left() {
        shared = true;
        if (exists() == false) {
            return timeout;
        }
        return TimeValue.timeValueMillis(Math.max(millis(), Math.min(LEAST.millis(), timeout.millis())));
    }

    /** Returns the time in ms for a call that starts now, at least 1; {@link Long#MAX_VALUE} without a timeout. */
    public long leftMillis() {
        shared = true;
        return exists() ? Math.max(1, millis()) : Long.MAX_VALUE;
    }

    /** Returns whether any work has used part of the time. If not, the search keeps its whole timeout. */
    public boolean isShared() {
        return shared;
    }

    private long millis() {
        return timeout.millis() - TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - begin);
    }
}
