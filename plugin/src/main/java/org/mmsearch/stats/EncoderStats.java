package org.mmsearch.stats;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

import org.mmsearch.encoder.EncoderFailure;

/** Counts what the encoder does on this node, since the node's start. */
public final class EncoderStats {

    /** From a search's request for a vector to its completion. */
    public final Latency encode = new Latency();
    /** One exchange with Triton. */
    public final Latency call = new Latency();
    /** The wait for a place among the calls under way. */
    public final Latency queue = new Latency();

    private final LongAdder calls = new LongAdder();
    private final LongAdder retries = new LongAdder();
    private final LongAdder cacheHits = new LongAdder();
    private final LongAdder cacheMisses = new LongAdder();
    private final LongAdder coalesced = new LongAdder();
    private final Map<EncoderFailure, LongAdder> failures = new EnumMap<>(EncoderFailure.class);

    /** All at zero. */
    public EncoderStats() {
        for (EncoderFailure failure : EncoderFailure.values()) {
            failures.put(failure, new LongAdder());
        }
    }

    /** An exchange with Triton began. */
    public void called() {
        calls.increment();
    }

    /** A call was repeated. */
    public void retried() {
        retries.increment();
    }

    /** A vector was in the cache. */
    public void cacheHit() {
        cacheHits.increment();
    }

    /** A vector was not in the cache. */
    public void cacheMiss() {
        cacheMisses.increment();
    }

    /** A search joined another one's call. */
    public void coalesced() {
        coalesced.increment();
    }

    /** A search got no vector. */
    public void failed(EncoderFailure failure) {
        failures.get(failure).increment();
    }

    /** How many exchanges with Triton began. */
    public long calls() {
        return calls.sum();
    }

    /** How many calls were repetitions. */
    public long retries() {
        return retries.sum();
    }

    /** How many vectors were in the cache. */
    public long cacheHits() {
        return cacheHits.sum();
    }

    /** How many vectors were not in the cache. */
    public long cacheMisses() {
        return cacheMisses.sum();
    }

    /** How many searches joined another one's call. */
    public long coalescedCount() {
        return coalesced.sum();
    }

    /** How many searches got no vector for this cause. */
    public long failures(EncoderFailure failure) {
        return failures.get(failure).sum();
    }
}
