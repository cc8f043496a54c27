package org.mmsearch.memory;

import org.opensearch.common.lease.Releasable;
import org.opensearch.common.lease.Releasables;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.indices.breaker.BreakerSettings;
import org.opensearch.monitor.jvm.JvmInfo;

/**
 * The plugin's own circuit breaker: what the legs, fused lists and pictures of the searches under way take of the heap. What would pass
 * its limit is answered 429 rather than ending the node.
 */
public final class MemoryBreaker {

    /** The breaker's name, in {@code breaker.mmsearch.limit} and in the node's statistics. */
    public static final String NAME = "mmsearch";

    private static final int SHARE_OF_HEAP = 5;

    private volatile CircuitBreaker breaker;

    /** A fifth of the heap, where the node's owner does not say otherwise. */
    public static BreakerSettings settings(Settings settings) {
        long limit = JvmInfo.jvmInfo().getMem().getHeapMax().getBytes() / SHARE_OF_HEAP;
        BreakerSettings own = new BreakerSettings(NAME, limit, 1.0, CircuitBreaker.Type.MEMORY, CircuitBreaker.Durability.TRANSIENT);
        return BreakerSettings.updateFromSettings(own, settings);
    }

    /** Gives it the node's. */
    public void open(CircuitBreaker breaker) {
        this.breaker = breaker;
    }

    /**
     * Takes a share of the memory.
     *
     * @param bytes how much
     * @param what for, for the message
     * @return gives it back, once, however often it is closed
     * @throws org.opensearch.core.common.breaker.CircuitBreakingException where that is more than is left
     */
    public Releasable reserve(long bytes, String what) {
        CircuitBreaker open = breaker;
        if (open == null) {
            return () -> {};
        }
        open.addEstimateBytesAndMaybeBreak(bytes, what);
        return Releasables.releaseOnce(() -> open.addWithoutBreaking(-bytes));
    }
}
