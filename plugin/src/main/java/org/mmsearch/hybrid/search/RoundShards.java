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
 * What the searches that are run for another one say of their shards. A shard that fails in several of them is one failure, with the first
 * reason. Of a shard that is not available the engine gives no reason, it only counts it.
 */
final class RoundShards {

    private final Map<Object, ShardSearchFailure> failures = new LinkedHashMap<>();
    private boolean timedOut;
    private int total;
    private int skipped;
    /** The most shards that have not answered one search, with those that it was not sent to because they had failed before. */
    private int lost;
    /** The shards that failed where the readers were opened. */
    private int unopened;
    /** Those of them without a reason: no later search is sent to them. */
    private int silent;
    /** The readers that were opened, or -1 where they are the caller's. */
    private int readers = -1;

    /** Takes the answer of a search of all shards, whose readers it does not share. */
    synchronized void beside(SearchResponse answer) {
        fail(answer.getShardFailures());
        timedOut |= answer.isTimedOut();
        lost = Math.max(lost, answer.getTotalShards() - answer.getSuccessfulShards());
    }

    /** Takes the answer of the search that opened so many readers. */
    synchronized void opening(SearchResponse answer, int opened) {
        timedOut |= answer.isTimedOut();
        skipped = Math.max(skipped, answer.getSkippedShards());
        opening(answer.getTotalShards(), answer.getSuccessfulShards(), answer.getShardFailures(), opened);
    }

    /** Takes what opened the readers says of its shards. */
    synchronized void opening(int all, int successful, ShardSearchFailure[] failed, int opened) {
        fail(failed);
        total = Math.max(total, all);
        unopened = all - successful;
        silent = unopened - failed.length;
        readers = opened;
        lost = Math.max(lost, unopened);
    }

    /** Takes the answer of a search in readers that are open. */
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

    /** @return whether the answer of the search itself says all that there is to say */
    synchronized boolean isEmpty() {
        return failures.isEmpty() && timedOut == false && skipped == 0 && lost == 0;
    }

    synchronized boolean isTimedOut() {
        return timedOut;
    }

    /** @return the shards that have failed so far and are known */
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
     * Adds the answer of the search itself.
     *
     * @param answer in these readers
     */
    synchronized Sum with(SearchResponse answer) {
        within(answer);
        check();
        return new Sum(total, left(), skipped, reasons());
    }

    /** Refuses to go on where every shard has failed in one search or another, as the engine does where they fail in one. */
    synchronized void check() {
        if (failures.isEmpty() == false && left() == 0) {
            throw new SearchPhaseExecutionException(SearchPhaseName.QUERY.getName(), "all shards failed", null, reasons());
        }
    }

    private int left() {
        // A shard without a reason in one search may be one with a reason in another.
        return Math.max(0, total - Math.max(silent + failures.size(), lost));
    }

    /** In the engine's order: by shard. */
    private ShardSearchFailure[] reasons() {
        Comparator<ShardSearchFailure> byShard = Comparator.comparing(
            failure -> failure.shard() == null ? null : failure.shard().getShardId(),
            Comparator.nullsLast(Comparator.naturalOrder())
        );
        return failures.values().stream().sorted(byShard).toArray(ShardSearchFailure[]::new);
    }

    /**
     * Adds the failure of the search itself, or of a round.
     *
     * @return the failure; one of all the shards that were left names those that failed before
     */
    synchronized Exception with(Exception failure) {
        if (failure instanceof SearchPhaseExecutionException phase && phase.shardFailures().length > 0 && failures.isEmpty() == false) {
            fail(phase.shardFailures());
            return new SearchPhaseExecutionException(phase.getPhaseName(), phase.getMessage(), null, reasons());
        }
        return failure;
    }

    /** What an answer says of its shards. */
    record Sum(int total, int successful, int skipped, ShardSearchFailure[] failures) {}
}
