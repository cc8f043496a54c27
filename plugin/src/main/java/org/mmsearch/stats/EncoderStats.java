package org.mmsearch.stats;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

import org.mmsearch.encoder.EncoderFailure;

/** Counters and latencies of the encoder since the node started. */
public final class EncoderStats {

    /** Latency from a search's request for a vector to the vector or the failure. */
    public final Latency encode = new Latency();
    /** Latency of a call to Triton, without retries. */
    public final Latency call = new Latency();
    /** Time that requests for vectors wait in the queue before their call starts. */
    public final Latency queue = new Latency();

    private final LongAdder calls = new LongAdder();
    private final LongAdder retries = new LongAdder();
    private final LongAdder cacheHits = new LongAdder();
    private final LongAdder cacheMisses = new LongAdder();
    private final LongAdder coalesced = new LongAdder();
    private final Map<EncoderFailure, LongAdder> failures = new EnumMap<>(EncoderFailure.class);

    /** Starts all counters at zero. */
    public EncoderStats() {
        for (EncoderFailure failure : EncoderFailure.values()) {
            failures.put(failure, new LongAdder());
        }
    }

    /** Counts a call to Triton. */
    public void called() {
        calls.increment();
    }

    /** Counts a retry. */
    public void retried() {
        retries.increment();
    }

    /** Counts a cache hit. */
    public void cacheHit() {
        cacheHits.increment();
    }

    /** Counts a cache miss. */
    public void cacheMiss() {
        cacheMisses.increment();
    }

    /** Counts a request for a vector that shared the call of an equal one. */
    public void coalesced() {
        coalesced.increment();
    }

    /** Counts a request for a vector that failed. */
    public void failed(EncoderFailure failure) {
        failures.get(failure).increment();
    }

    /** Returns the number of calls to Triton, including retries. */
    public long calls() {
        return calls.sum();
    }

    /** Returns the number of retries. */
    public long retries() {
        return retries.sum();
    }

    /** Returns the number of cache hits. */
    public long cacheHits() {
        return cacheHits.sum();
    }

    /** Returns the number of cache misses. */
    public long cacheMisses() {
        return cacheMisses.sum();
    }

    /** Returns the number of requests that shared the call of an equal one. */
    public long coalescedCount() {
        return coalesced.sum();
    }

    /** Returns the number of requests that failed with this cause. */
    public long failures(EncoderFailure failure) {
        return failures.get(failure).sum();
    }
}
