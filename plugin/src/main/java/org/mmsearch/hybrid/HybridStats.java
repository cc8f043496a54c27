package org.mmsearch.hybrid;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** Counts what hybrid clauses do on this node. */
public final class HybridStats {

    /** How often a stage ran and how long that took together. */
    private static final class Stage {
        private final LongAdder count = new LongAdder();
        private final LongAdder nanos = new LongAdder();

        void add(long took) {
            count.increment();
            nanos.add(took);
        }

        Map<String, Object> asMap() {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("count", count.sum());
            map.put("time_in_micros", nanos.sum() / 1_000);
            return map;
        }
    }

    private final LongAdder inShard = new LongAdder();
    private final LongAdder byRounds = new LongAdder();
    private final LongAdder handlesLost = new LongAdder();
    private final LongAdder legsSkipped = new LongAdder();
    private final Stage legs = new Stage();
    private final Stage fuse = new Stage();

    void inShard(long legsNanos, long fuseNanos) {
        inShard.increment();
        legs.add(legsNanos);
        fuse.add(fuseNanos);
    }

    void byRounds(long legsNanos, long fuseNanos) {
        byRounds.increment();
        legs.add(legsNanos);
        fuse.add(fuseNanos);
    }

    void handlesLost(long count) {
        handlesLost.add(count);
    }

    void legSkipped() {
        legsSkipped.increment();
    }

    /**
     * @return {@code in_shard} and {@code by_rounds}, how many hybrids were fused which way; {@code handles_lost}, how many winners an
     *     update moved between the rounds; {@code legs_skipped}, how many were left out because their encoder failed; {@code legs} and
     *     {@code fuse}, each with {@code count} and {@code time_in_micros}
     */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("in_shard", inShard.sum());
        map.put("by_rounds", byRounds.sum());
        map.put("handles_lost", handlesLost.sum());
        map.put("legs_skipped", legsSkipped.sum());
        map.put("legs", legs.asMap());
        map.put("fuse", fuse.asMap());
        return map;
    }
}
