package org.mmsearch.hybrid.legs;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

import org.mmsearch.stats.Latency;

/** Statistics of the hybrids on this node. */
public final class HybridStats {

    private final LongAdder inShard = new LongAdder();
    private final LongAdder oneSearch = new LongAdder();
    private final LongAdder twoRounds = new LongAdder();
    private final LongAdder pointInTime = new LongAdder();
    private final LongAdder legsSkipped = new LongAdder();
    /** Time of the legs: inside the shard, or the round of legs as seen by the coordinating node. */
    private final Latency legs = new Latency();
    /** Time of fusion. */
    private final Latency fuse = new Latency();

    /** Counts a hybrid that was fused inside the only shard of its search. Times are in ns. */
    public void inShard(long legsNanos, long fuseNanos) {
        count(inShard, legsNanos, fuseNanos);
    }

    /** Counts a hybrid that was fused between the phases of its search. Times are in ns. */
    public void oneSearch(long legsNanos, long fuseNanos) {
        count(oneSearch, legsNanos, fuseNanos);
    }

    /**
     * Counts a hybrid whose legs ran in a search before its own. Times are in ns.
     *
     * @param inPointInTime whether both searches used a point in time, rather than the reader contexts of the first one
     */
    public void byRounds(boolean inPointInTime, long legsNanos, long fuseNanos) {
        count(inPointInTime ? pointInTime : twoRounds, legsNanos, fuseNanos);
    }

    private void count(LongAdder way, long legsNanos, long fuseNanos) {
        way.increment();
        legs.record(legsNanos);
        fuse.record(fuseNanos);
    }

    /** Counts a leg that was left out. */
    public void legSkipped() {
        legsSkipped.increment();
    }

    /**
     * Returns the statistics as JSON values: the numbers of hybrids by way ({@code in_shard}, {@code one_search}, {@code two_rounds},
     * {@code point_in_time}), the legs left out because their encoder failed ({@code legs_skipped}), and the histograms {@code legs} and
     * {@code fuse} ({@code latency}).
     */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("in_shard", inShard.sum());
        map.put("one_search", oneSearch.sum());
        map.put("two_rounds", twoRounds.sum());
        map.put("point_in_time", pointInTime.sum());
        map.put("legs_skipped", legsSkipped.sum());
        Map<String, Object> latency = new LinkedHashMap<>();
        latency.put("legs", legs.asMap());
        latency.put("fuse", fuse.asMap());
        map.put("latency", latency);
        return map;
    }
}
