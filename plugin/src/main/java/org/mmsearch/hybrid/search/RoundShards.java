package org.mmsearch.hybrid.search;

import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

import org.opensearch.action.search.SearchPhaseExecutionException;
import org.opensearch.action.search.SearchPhaseName;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.core.index.shard.ShardId;

/**
 * Collects shard failures, timeouts and counts of all searches that run for one request. A shard that fails in several searches counts as
 * one failure, with the first reason. For unavailable shards OpenSearch returns only a count.
 */
final class RoundShards {

    private final Map<Object, ShardSearchFailure> failures = new LinkedHashMap<>();
    private boolean timedOut;
    private int total;
    private int skipped;
    /** Maximum over the searches of the shards without a response, including shards that failed before and were not searched again. */
    private int lost;
    /** Number of shards that failed when the readers were opened. */
    private int unopened;
    /** Number of these shards without a reason. Later searches do not include them. */
    private int silent;
    /** Number of readers opened, or -1 if the caller opened them. */
    private int readers = -1;

    /** Adds the response of a search of all shards that uses other readers. */
    synchronized void beside(SearchResponse answer) {
        fail(answer.getShardFailures());
        timedOut |= answer.isTimedOut();
        lost = Math.max(lost, answer.getTotalShards() - answer.getSuccessfulShards());
    }

    /**
     * Adds the response of the search that opened the readers.
     *
     * @param opened the number of readers
     */
    synchronized void opening(SearchResponse answer, int opened) {
        timedOut |= answer.isTimedOut();
        skipped = Math.max(skipped, answer.getSkippedShards());
        opening(answer.getTotalShards(), answer.getSuccessfulShards(), answer.getShardFailures(), opened);
    }

    /**
     * Adds the shard counts of the request that opened the readers.
     *
     * @param all the number of all shards
     * @param successful the number of shards without failure
     * @param failed the failures with a reason
     * @param opened the number of readers
     */
    synchronized void opening(int all, int successful, ShardSearchFailure[] failed, int opened) {
        fail(failed);
        total = Math.max(total, all);
        unopened = all - successful;
        silent = unopened - failed.length;
        readers = opened;
        lost = Math.max(lost, unopened);
    }

    /** Adds the response of a search in the opened readers. */
    synchronized void within(SearchResponse answer) {
        fail(answer.getShardFailures());
        timedOut |= answer.isTimedOut();
        total = Math.max(total, answer.getTotalShards());
        skipped = Math.max(skipped, answer.getSkippedShards());
        int closed = readers < 0 ? 0 : Math.max(0, readers - answer.getTotalShards());
        lost = Math.max(lost, unopened + closed + answer.getTotalShards() - answer.getSuccessfulShards());
    }

    private void fail(ShardSearchFailure[] failed) {
        for (ShardSearchFailure failure : failed) {
            failures.putIfAbsent(failure.shard() == null ? failure : failure.shard().getShardId(), failure);
        }
    }

    /** Returns whether there is nothing to add to the response of the search itself. */
    synchronized boolean isEmpty() {
        return failures.isEmpty() && timedOut == false && skipped == 0 && lost == 0;
    }

    synchronized boolean isTimedOut() {
        return timedOut;
    }

    /** Returns the failed shards with a known id. */
    synchronized Set<ShardId> failed() {
        Set<ShardId> shards = new HashSet<>();
        failures.keySet().forEach(shard -> {
            if (shard instanceof ShardId id) {
                shards.add(id);
            }
        });
        return shards;
    }

    /**
     * Adds the response of the search itself.
     *
     * @param answer the response, of a search in these readers
     * @return the totals for the final response
     */
    synchronized Sum with(SearchResponse answer) {
        within(answer);
        check();
        return new Sum(total, left(), skipped, reasons());
    }

    /**
     * Checks that not all shards have failed, over all searches.
     *
     * @throws SearchPhaseExecutionException if no shard is left, as OpenSearch does for one search
     */
    synchronized void check() {
        if (failures.isEmpty() == false && left() == 0) {
            throw new SearchPhaseExecutionException(SearchPhaseName.QUERY.getName(), "all shards failed", null, reasons());
        }
    }

    private int left() {
        // A shard may fail without a reason in one search and with one in another, so take the maximum instead of the sum.
        return Math.max(0, total - Math.max(silent + failures.size(), lost));
    }

    /** Returns the failures ordered by shard, as OpenSearch does. */
    private ShardSearchFailure[] reasons() {
        Comparator<ShardSearchFailure> byShard = Comparator.comparing(
            failure -> failure.shard() == null ? null : failure.shard().getShardId(),
            Comparator.nullsLast(Comparator.naturalOrder())
        );
        return failures.values().stream().sorted(byShard).toArray(ShardSearchFailure[]::new);
    }

    /**
     * Adds earlier shard failures to the failure of the search itself or of a round.
     *
     * @return the failure to report
     */
    synchronized Exception with(Exception failure) {
        if (failure instanceof SearchPhaseExecutionException phase && phase.shardFailures().length > 0 && failures.isEmpty() == false) {
            fail(phase.shardFailures());
            return new SearchPhaseExecutionException(phase.getPhaseName(), phase.getMessage(), null, reasons());
        }
        return failure;
    }

    /** The shard section of a response. */
    record Sum(int total, int successful, int skipped, ShardSearchFailure[] failures) {}
}
