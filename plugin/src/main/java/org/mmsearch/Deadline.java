package org.mmsearch;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

import org.opensearch.common.unit.TimeValue;
import org.opensearch.search.SearchService;

/** The end of a search's timeout, which begins when the search arrives: all that is done for the search shares what is left of it. */
public final class Deadline {

    /** Of a search without a timeout. */
    public static final Deadline NONE = new Deadline(null, System::nanoTime);

    /** A search gets so much, or all of its timeout where that is shorter, so that what was found before is still in its answer. */
    private static final TimeValue LEAST = TimeValue.timeValueMillis(50);

    private final TimeValue timeout;
    private final LongSupplier nanos;
    private final long begin;
    private volatile boolean shared;

    /**
     * @param timeout of the search; null or {@link SearchService#NO_TIMEOUT} where it has none
     * @param nanos the clock
     */
    public Deadline(TimeValue timeout, LongSupplier nanos) {
        this.timeout = timeout;
        this.nanos = nanos;
        begin = nanos.getAsLong();
    }

    /** @return whether there is one */
    public boolean exists() {
        return timeout != null && SearchService.NO_TIMEOUT.equals(timeout) == false;
    }

    /** @return the timeout of a search that is run now; null or {@link SearchService#NO_TIMEOUT} where it has none */
    public TimeValue left() {
        shared = true;
        if (exists() == false) {
            return timeout;
        }
        return TimeValue.timeValueMillis(Math.max(millis(), Math.min(LEAST.millis(), timeout.millis())));
    }

    /** @return how long a call may last that is begun now, in ms, at least 1; {@link Long#MAX_VALUE} where nothing bounds it */
    public long leftMillis() {
        shared = true;
        return exists() ? Math.max(1, millis()) : Long.MAX_VALUE;
    }

    /** @return whether anything has taken a part of it; the search itself has all of it otherwise */
    public boolean isShared() {
        return shared;
    }

    private long millis() {
        return timeout.millis() - TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - begin);
    }
}
