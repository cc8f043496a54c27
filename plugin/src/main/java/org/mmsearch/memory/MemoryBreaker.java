package org.mmsearch.memory;

import org.opensearch.common.lease.Releasable;
import org.opensearch.common.lease.Releasables;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.indices.breaker.BreakerSettings;
import org.opensearch.monitor.jvm.JvmInfo;

/**
 * The plugin's circuit breaker. It limits the heap used by the legs, fused hits and images of running searches. A search that would exceed
 * the limit fails with 429 instead of an out-of-memory error of the node.
 */
public final class MemoryBreaker {

    /** The breaker's name, in {@code breaker.mmsearch.limit} and in the node's statistics. */
    public static final String NAME = "mmsearch";

    private static final int SHARE_OF_HEAP = 5;

    private volatile CircuitBreaker breaker;

    /** Returns the breaker's settings: by default, the limit is a fifth of the heap. */
    public static BreakerSettings settings(Settings settings) {
        long limit = JvmInfo.jvmInfo().getMem().getHeapMax().getBytes() / SHARE_OF_HEAP;
        BreakerSettings own = new BreakerSettings(NAME, limit, 1.0, CircuitBreaker.Type.MEMORY, CircuitBreaker.Durability.TRANSIENT);
        return BreakerSettings.updateFromSettings(own, settings);
    }

    /** Passes in the breaker that the node created from {@link #settings}. */
    public void open(CircuitBreaker breaker) {
        this.breaker = breaker;
    }

    /**
     * Reserves memory.
     *
     * @param bytes the number of bytes
     * @param what the purpose, for the error message
     * @return releases the memory; closing it again has no effect
     * @throws org.opensearch.core.common.breaker.CircuitBreakingException if the limit would be exceeded
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
