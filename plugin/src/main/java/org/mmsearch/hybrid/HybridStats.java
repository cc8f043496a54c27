package org.mmsearch.hybrid;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

import org.mmsearch.stats.Latency;

/** Counts what hybrid clauses do on this node. */
public final class HybridStats {

    private final LongAdder inShard = new LongAdder();
    private final LongAdder byRounds = new LongAdder();
    private final LongAdder handlesLost = new LongAdder();
    private final LongAdder legsSkipped = new LongAdder();
    /** From the legs' start to their hits: inside the shard, or the whole first round as its coordinating node sees it. */
    private final Latency legs = new Latency();
    /** From the legs' hits to the winners. */
    private final Latency fuse = new Latency();

    void inShard(long legsNanos, long fuseNanos) {
        inShard.increment();
        legs.record(legsNanos);
        fuse.record(fuseNanos);
    }

    void byRounds(long legsNanos, long fuseNanos) {
        byRounds.increment();
        legs.record(legsNanos);
        fuse.record(fuseNanos);
    }

    void handlesLost(long count) {
        handlesLost.add(count);
    }

    void legSkipped() {
        legsSkipped.increment();
    }

    /**
     * @return {@code in_shard} and {@code by_rounds}, how many hybrids were fused which way; {@code handles_lost}, how many winners an
     *     update moved between the rounds; {@code legs_skipped}, how many were left out because their encoder failed; {@code latency},
     *     with the histograms {@code legs} and {@code fuse}
     */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("in_shard", inShard.sum());
        map.put("by_rounds", byRounds.sum());
        map.put("handles_lost", handlesLost.sum());
        map.put("legs_skipped", legsSkipped.sum());
        Map<String, Object> latency = new LinkedHashMap<>();
        latency.put("legs", legs.asMap());
        latency.put("fuse", fuse.asMap());
        map.put("latency", latency);
        return map;
    }
}
